"""Applications of the libraries that speak WebSocket over a socket."""

from __future__ import annotations

import base64
import hashlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import simple_websocket
from flask import Flask, request
from flask_sock import Sock

from tower_wsgi.wsgi import WsgiHandler

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIEnvironment

flask_app = Flask(__name__)
if interval := os.environ.get("PING_INTERVAL"):
    flask_app.config["SOCK_SERVER_OPTIONS"] = {"ping_interval": float(interval)}
sock = Sock(flask_app)


@sock.route("/echo")
def echo(ws: simple_websocket.Server) -> None:
    """Send each message back."""
    while True:
        ws.send(ws.receive())


@sock.route("/once")
def once(ws: simple_websocket.Server) -> None:
    """Send one message and return, so that the library closes."""
    ws.send("once")


@sock.route("/raises")
def raises(ws: simple_websocket.Server) -> None:
    """Fail at the first message."""
    raise LookupError(f"the handler got {ws.receive()!r}")


@sock.route("/floods")
def floods(ws: simple_websocket.Server) -> None:
    """Send without end."""
    while True:
        ws.send(b"x" * 65536)


@flask_app.route("/")
def plain() -> str:
    """Respond to a plain request."""
    return "plain"


@flask_app.before_request
def refuse() -> tuple[str, int] | None:
    """Refuse before the socket is used."""
    if request.path != "/forbidden":
        return None
    return str("gunicorn.socket" in request.environ), 403


@flask_app.route("/figures")
def figures() -> dict[str, Any]:
    """Tell what the process holds."""
    names = sorted(thread.name for thread in threading.enumerate())
    return {
        "files": len(list(Path("/proc/self/fd").iterdir())),
        "libraries": sum("simple_websocket" in name for name in names),
        "websocket": sum(name.startswith("websocket-") for name in names),
    }


chain_app = WsgiHandler([lambda environ, start_response: None, flask_app])


def direct(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Use simple-websocket without a framework, as its documentation shows."""
    ws = simple_websocket.Server.accept(environ, subprotocols=["chat", "echo"])
    try:
        while True:
            ws.send(f"{ws.subprotocol}: {ws.receive()}")
    except simple_websocket.ConnectionClosed:
        pass
    return []


def with_eventlet(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Use eventlet's handler, which works without its hub."""
    from eventlet.websocket import WebSocketWSGI

    def echo(ws: Any) -> None:
        while (message := ws.wait()) is not None:
            ws.send(message)

    result: Iterable[bytes] = WebSocketWSGI(echo)(environ, start_response)
    return result


def with_ws4py(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Run a WebSocket of ws4py, whose own adapter leaves that to its servers."""
    from ws4py import WS_KEY
    from ws4py.websocket import EchoWebSocket

    key = environ["HTTP_SEC_WEBSOCKET_KEY"].encode() + WS_KEY
    accept = base64.b64encode(hashlib.sha1(key).digest())
    socket = environ["gunicorn.socket"]
    socket.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
    )
    EchoWebSocket(socket).run()
    return []
