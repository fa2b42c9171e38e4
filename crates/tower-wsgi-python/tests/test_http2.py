"""WSGI over HTTP/2, by a client of its own and by a browser."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from browser import browsing
from http2_client import connected
from werkzeug.serving import make_ssl_devcert

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Served

SOURCE = """
import json
import sys
import threading


def show(environ):
    shown = {key: value for key, value in environ.items() if isinstance(value, (str, bool, tuple))}
    return [json.dumps(shown).encode()]


def count(environ):
    read = environ["wsgi.input"].read
    total = 0
    while piece := read(10_000):
        total += len(piece)
    return [str(total).encode()]


class Pieces:
    def __init__(self, count):
        self.left = count

    def __iter__(self):
        return self

    def __next__(self):
        if not self.left:
            raise StopIteration
        self.left -= 1
        return b"x" * 1000

    def close(self):
        print(f"closed left={self.left > 0}", file=sys.stderr, flush=True)


ALL_HERE = threading.Barrier(8)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    status, fields = "200 OK", [("X-Name", "caf\\xe9"), ("X-Twice", "1"), ("X-Twice", "2")]
    if path == "/count":
        body = count(environ)
    elif path == "/pieces":
        body = Pieces(int(environ["QUERY_STRING"]))
    elif path == "/together":
        body = [str(ALL_HERE.wait(60)).encode()]
    elif path == "/short":
        fields.append(("Content-Length", "10"))
        body = [b"only"]
    elif path == "/late":
        def fail():
            yield b"some"
            raise ValueError("too late")
        body = fail()
    elif path == "/none":
        status, body = "204 No Content", []
    else:
        body = show(environ)
    start_response(status, fields)
    return body
"""


def serve_source(serve: Callable[..., Served], *options: str) -> Served:
    """Serve the application above by one worker."""
    return serve("app:application", "--workers", "1", *options, source=SOURCE)


def test_the_environ_is_that_of_the_request(serve: Callable[..., Served]) -> None:
    server = serve_source(serve)
    with connected(server.url) as client:
        fields = [
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("content-type", "text/plain"),
            ("x-name", "one"),
            ("x-name", "two"),
            ("te", "trailers"),
        ]
        response = client.fetch("/a%20b/%C3%A9?c=%20d", "PUT", fields, b"body")
    assert response.status == 200
    environ = json.loads(response.body)
    host = server.url.removeprefix("http://")
    expected = {
        "REQUEST_METHOD": "PUT",
        "SERVER_PROTOCOL": "HTTP/2.0",
        "PATH_INFO": "/a b/\xc3\xa9",
        "QUERY_STRING": "c=%20d",
        "HTTP_HOST": host,
        "SERVER_PORT": host.split(":")[1],
        "REMOTE_ADDR": "127.0.0.1",
        "CONTENT_TYPE": "text/plain",
        "HTTP_COOKIE": "a=1; b=2",
        "HTTP_X_NAME": "one,two",
        "wsgi.url_scheme": "http",
    }
    assert {key: environ.get(key) for key in expected} == expected
    # Nothing of a connection, and no pseudo-field.
    assert not [key for key in environ if ":" in key or key == "HTTP_CONNECTION"]
    assert response.field("x-name") == "caf\xe9"
    assert [value for name, value in response.fields if name == "x-twice"] == ["1", "2"]


def test_bodies_of_any_length(serve: Callable[..., Served]) -> None:
    server = serve_source(serve)
    with connected(server.url) as client:
        for length in (0, 1, 70_000, 3_000_000):
            body = b"x" * length
            announced = [("content-length", str(length))]
            assert client.fetch("/count", "POST", announced, body).body == b"%d" % length
            assert client.fetch("/count", "POST", (), body).body == b"%d" % length
        response = client.fetch("/pieces?2000")
        assert (response.status, len(response.body)) == (200, 2_000_000)
        assert client.fetch("/pieces?10", "HEAD").body == b""
        assert client.fetch("/none").status == 204
        (closed, *_) = server.wait_for_log(r"closed left=False")
        assert closed


def test_streams_run_at_once(serve: Callable[..., Served]) -> None:
    server = serve_source(serve, "--thread-workers", "8")
    with connected(server.url) as client:
        # Each of them waits for the other seven.
        streams = [client.begin("/together") for _ in range(8)]
        bodies = {client.response(stream).body for stream in streams}
        assert bodies == {b"%d" % number for number in range(8)}


def test_a_response_that_fails_never_looks_whole(serve: Callable[..., Served]) -> None:
    server = serve_source(serve)
    with connected(server.url) as client:
        for path in ("/short", "/late"):
            response = client.response(client.begin(path))
            assert response.reset, f"{path}: {response.fields}"
            assert not response.ended
        # The connection is as good as before.
        assert client.fetch("/").status == 200


def test_a_stream_that_is_reset_closes_its_iterable(serve: Callable[..., Served]) -> None:
    server = serve_source(serve)
    with connected(server.url) as client:
        # More than the windows and the buffers hold.
        stream = client.begin("/pieces?1000000")
        while not client.responses[stream].body:
            client.receive()
        client.reset(stream)
        server.wait_for_log(r"closed left=True")
        assert client.fetch("/").status == 200


def test_a_client_that_breaks_rules_gets_no_service(serve: Callable[..., Served]) -> None:
    server = serve_source(serve)
    for field in (("connection", "close"), ("te", "gzip"), (":path", "/b")):
        with connected(server.url) as client:
            response = client.response(client.begin("/", fields=[field]))
            assert response.reset or response.status == 400, field
            assert client.fetch("/").status == 200


def test_a_browser_speaks_it_over_tls(serve: Callable[..., Served], tmp_path: Path) -> None:
    certificate, key = make_ssl_devcert(os.fspath(tmp_path / "pair"), cn="localhost")
    server = serve_source(serve, "--tls-certificate", certificate, "--tls-key", key)
    with connected(server.url, certificate) as client:
        environ = json.loads(client.fetch("/").body)
        assert environ["wsgi.url_scheme"] == "https"
        assert environ["SERVER_PROTOCOL"] == "HTTP/2.0"
    with browsing(tmp_path, "--ignore-certificate-errors") as browser:
        browser.open(f"{server.url}/")
        assert json.loads(browser.text())["SERVER_PROTOCOL"] == "HTTP/2.0"
        navigation = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
        assert browser.evaluate(navigation) == "h2"
        # In parallel, on the same connection: one port of the client.
        browser.evaluate(
            """Promise.all(Array.from({length: 50}, (_, number) =>
                fetch(`/?${number}`).then((response) => response.json())
            )).then((all) => { window.ports = new Set(all.map((one) => one.REMOTE_PORT)) })"""
        )
        browser.wait_until("window.ports !== undefined")
        assert browser.evaluate("window.ports.size") == 1
