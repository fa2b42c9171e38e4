"""WebSockets on streams of HTTP/2 (RFC 8441): of handlers, sockets in the environ, and browsers."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing
from http2_client import Http2Connection, connected
from werkzeug.serving import make_ssl_devcert

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

SITES = Path(__file__).parent / "sites"

SOURCE = """
from tower_wsgi import ws, wsgi


class Ports(ws.WS):
    def on_message(self, websocket, message):
        environ = websocket.handshake
        websocket.write(f"{message} {environ['wsgi.url_scheme']} {environ['REMOTE_PORT']}")


def page(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REMOTE_PORT"].encode()]


application = wsgi.WsgiHandler([ws.WebSocket("/ports", Ports()), page])
"""

MASK = b"\x01\x02\x03\x04"
CLOSE = b"\x88\x02\x03\xe9"


def masked(opcode: int, data: bytes) -> bytes:
    """A frame of a client, of at most 125 bytes."""
    body = bytes(byte ^ MASK[place % 4] for place, byte in enumerate(data))
    return bytes([0x80 | opcode, 0x80 | len(data)]) + MASK + body


def open_websocket(client: Http2Connection, path: str) -> int:
    """Ask for a WebSocket, and wait for its stream."""
    fields = [(":protocol", "websocket"), ("sec-websocket-version", "13")]
    stream = client.begin(path, "CONNECT", fields, end=False)
    while not client.responses[stream].fields:
        assert client.receive()
    return stream


def next_bytes(client: Http2Connection, stream: int, length: int) -> bytes:
    """Wait for these many bytes of a stream."""
    response = client.responses[stream]
    while len(response.body) < length:
        assert client.receive(), response.body
    taken, response.body = response.body[:length], response.body[length:]
    return taken


def test_a_handler_of_events(serve: Callable[..., Served]) -> None:
    server = serve(source=SOURCE)
    with connected(server.url) as client:
        port = client.fetch("/").body
        streams = [open_websocket(client, "/ports") for _ in range(3)]
        for stream in streams:
            response = client.responses[stream]
            assert response.status == 200
            assert not response.field("sec-websocket-accept")
            client.send(stream, masked(1, b"hi"))
            text = b"hi http " + port
            assert next_bytes(client, stream, 2 + len(text)) == bytes([0x81, len(text)]) + text
        # Other requests are served beside them.
        assert client.fetch("/").body == port
        for stream in streams:
            client.send(stream, masked(8, b"\x03\xe9"), end=True)
            assert next_bytes(client, stream, 4) == CLOSE
        for stream in streams:
            assert client.response(stream).reset is None


def test_what_is_no_websocket_is_refused(serve: Callable[..., Served]) -> None:
    server = serve(source=SOURCE)
    with connected(server.url) as client:
        # The application has no WebSocket there: its response would open the stream as a tunnel.
        stream = open_websocket(client, "/")
        assert client.response(stream).status == 400
        fields = [(":protocol", "another")]
        other = client.begin("/ports", "CONNECT", fields, end=False)
        assert client.response(other).status >= 400
        assert client.fetch("/").status == 200


def test_a_socket_in_the_environ(start: Callable[..., Served]) -> None:
    server = start(
        *(sys.executable, "-m", "tower_wsgi", "websocket_site:flask_app"),
        *("--bind", "127.0.0.1:0", "--workers", "1", "--chdir", SITES),
    )
    with connected(server.url) as client:
        stream = open_websocket(client, "/echo")
        assert client.responses[stream].status == 200
        client.send(stream, masked(1, b"hello"))
        assert next_bytes(client, stream, 7) == b"\x81\x05hello"
        client.send(stream, masked(8, b"\x03\xe8"), end=True)
        assert client.response(stream).reset is None


def test_a_browser_has_it_on_the_connection_of_the_page(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    certificate, key = make_ssl_devcert(os.fspath(tmp_path / "pair"), cn="localhost")
    options = ("--tls-certificate", certificate, "--tls-key", key)
    server = serve("app:application", *options, source=SOURCE)
    with browsing(tmp_path, "--ignore-certificate-errors") as browser:
        browser.open(f"{server.url}/")
        port = browser.text()
        browser.evaluate(
            """window.heard = [];
            window.websocket = new WebSocket(`wss://${location.host}/ports`);
            websocket.onopen = () => websocket.send('hi');
            websocket.onmessage = (event) => heard.push(event.data);
            websocket.onclose = (event) => heard.push(event.code);
            null"""
        )
        browser.wait_until("window.heard.length === 1")
        assert browser.evaluate("window.heard[0]") == f"hi https {port}"
        server.process.send_signal(signal.SIGHUP)
        browser.wait_until("window.heard.length === 2")
        assert browser.evaluate("window.heard[1]") == 1001
