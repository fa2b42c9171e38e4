"""The application of the tests of WebSockets with events."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from tower_wsgi import ws, wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable

# What has happened on the sockets of `Recorder`, and all that are open.
events: list[Any] = []
opened: set[ws.WebSocketProtocol] = set()
gate = threading.Event()


class Echo(ws.WS):
    def on_message(self, websocket: ws.WebSocketProtocol, message: str) -> None:
        websocket.write(message)

    def on_bytes(self, websocket: ws.WebSocketProtocol, body: bytes) -> None:
        websocket.write(body)


class AsyncEcho(ws.WS):
    async def on_open(self, websocket: ws.WebSocketProtocol) -> None:
        await asyncio.sleep(0)
        websocket.write(f"open on {threading.current_thread().name}")

    async def on_message(self, websocket: ws.WebSocketProtocol, message: str) -> None:
        # The first messages take longest: the order has to be kept nevertheless.
        await asyncio.sleep(0.1 / (1 + int(message)))
        websocket.write(message)


class Recorder(ws.WS):
    """Records all events, and does what messages say."""

    def on_open(self, websocket: ws.WebSocketProtocol) -> None:
        opened.add(websocket)
        events.append(["open", websocket.subprotocol])

    def on_message(self, websocket: ws.WebSocketProtocol, message: str) -> None:
        events.append(["message", message])
        word, _, rest = message.partition(" ")
        if word == "close":
            code, _, reason = rest.partition(" ")
            events.append(websocket.write_close(int(code), reason))
            events.append(websocket.write("too late"))
        elif word == "raise":
            raise LookupError(rest)
        elif word == "exit":
            raise SystemExit(rest)
        elif word == "push":
            count, size = map(int, rest.split())
            events.append([websocket.write(b"x" * size) for _ in range(count)])
        elif word == "ping":
            websocket.ping(rest)
            websocket.pong(rest.encode())
        elif word == "sleep":
            time.sleep(float(rest))
        elif word == "wait":
            events.append(gate.wait(60))
        elif word == "handshake":
            websocket.write(json.dumps([websocket.handshake[name] for name in rest.split()]))
        elif word == "cfg":
            websocket.write(repr(getattr(websocket.cfg, rest)))

    def on_bytes(self, websocket: ws.WebSocketProtocol, body: bytes) -> None:
        events.append(["bytes", len(body)])

    def on_ping(self, websocket: ws.WebSocketProtocol, message: bytes) -> None:
        events.append(["ping", message.decode()])

    def on_pong(self, websocket: ws.WebSocketProtocol, message: bytes) -> None:
        events.append(["pong", message.decode()])

    def on_close(self, websocket: ws.WebSocketProtocol) -> None:
        opened.discard(websocket)
        events.append(["close", websocket.close_reason, websocket.write("too late")])


class Quiet(ws.WS):
    """Holds its sockets."""

    def on_open(self, websocket: ws.WebSocketProtocol) -> None:
        opened.add(websocket)

    def on_close(self, websocket: ws.WebSocketProtocol) -> None:
        opened.discard(websocket)


class Failing(ws.WS):
    """Raises where the path says."""

    def on_open(self, websocket: ws.WebSocketProtocol) -> None:
        raise LookupError("on_open has failed")

    def on_close(self, websocket: ws.WebSocketProtocol) -> None:
        events.append(["close", websocket.close_reason])
        raise LookupError("on_close has failed")


def control(environ: Any, start_response: Any) -> Iterable[bytes]:
    """Reports what has happened, and publishes."""
    path, query = environ["PATH_INFO"], environ["QUERY_STRING"]
    result: Any = None
    if path == "/events":
        result = events
    elif path == "/forget":
        events.clear()
        gate.clear()
    elif path == "/release":
        gate.set()
    elif path == "/publish":
        result = ws.broadcast(opened, query)
    elif path == "/state":
        result = {
            "open": len(opened),
            "threads": sorted(thread.name for thread in threading.enumerate()),
            "blocks": sys.getallocatedblocks(),
        }
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(result).encode()]


def add_cookie(environ: Any, response: wsgi.WsgiResponse) -> wsgi.WsgiResponse:
    response.headers.add_header("Set-Cookie", "a=b")
    return response


recorder = Recorder()
application = wsgi.WsgiHandler(
    [
        ws.WebSocket("/echo", Echo(), max_message_size=32 << 20, max_queued=64 << 20),
        ws.WebSocket("/async", AsyncEcho()),
        ws.WebSocket("/record", recorder, subprotocols=["two", "one"]),
        ws.WebSocket("/small", recorder, max_message_size=1000, max_queued=100_000),
        ws.WebSocket("/quiet", Quiet(), max_queued=200_000),
        ws.WebSocket("/fails", Failing()),
        ws.WebSocket("/ours", Echo(), origins=["https://a.example", "http://b.example:8080/"]),
        ws.WebSocket("/all", Echo(), origins="*"),
        control,
    ],
    response_middleware=[add_cookie],
)
