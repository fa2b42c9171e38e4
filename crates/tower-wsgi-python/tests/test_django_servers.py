"""Django's own tests of servers, `tests/servers`, with this server in the place of Django's.

They come from Django's source distribution, which is downloaded into ``target`` once. What does not
hold, and why, is in `suites.django_exceptions`; what holds instead is tested at the end.
"""

from __future__ import annotations

import http.client
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from suites.sources import source

from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterable

PATIENCE = 60.0


@pytest.mark.parametrize("database", ["memory", "file"])
def test_servers(database: str, tmp_path: Path) -> None:
    """In memory, all threads share one connection; with a file, each has its own."""
    run = subprocess.run(
        [sys.executable, "-m", "suites.django_run", source("django")],
        env={
            **os.environ,
            "DATABASES_IN": str(tmp_path) if database == "file" else "",
            "PYTHONPATH": str(Path(__file__).parent),
        },
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    print(run.stdout)
    assert run.returncode == 0
    # Each kind of database has a test or two that want the other.
    skipped = {"memory": 2, "file": 1}[database]
    end = re.search(r"^Ran (\d+) tests.*?^OK \((.*)\)$", run.stdout, re.MULTILINE | re.DOTALL)
    assert end
    assert int(end[1]) >= 23
    assert end[2] == f"skipped={skipped}, expected failures=4"


def connect(server: LiveServer) -> http.client.HTTPConnection:
    address = urlsplit(server.url)
    assert address.hostname
    return http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)


def stream(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([b"I", b"am", b"a", b"stream"])


def echo(environ: Any, start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["REQUEST_METHOD"].encode() + environ["wsgi.input"].read()]


def read_response(connection: http.client.HTTPConnection) -> tuple[int, str | None, bytes]:
    response = connection.getresponse()
    return response.status, response.getheader("Connection"), response.read()


def test_a_response_without_a_length_does_not_end_its_connection() -> None:
    with LiveServer(stream) as server:
        connection = connect(server)
        for _ in range(2):
            connection.request("GET", "/")
            socket = connection.sock
            response = connection.getresponse()
            assert response.getheader("Transfer-Encoding") == "chunked"
            assert response.getheader("Connection") is None
            assert response.read() == b"Iamastream"
            assert connection.sock is socket
        connection.close()


@pytest.mark.parametrize("application", [stream, echo])
def test_the_last_response_says_so_and_the_connection_is_closed(application: Any) -> None:
    with LiveServer(application) as server:
        connection = connect(server)
        connection.request("GET", "/", headers={"Connection": "keep-alive"})
        assert read_response(connection)[:2] == (200, None)
        socket = connection.sock.dup()
        connection.request("GET", "/", headers={"Connection": "close"})
        assert read_response(connection)[:2] == (200, "close")
        assert socket.recv(1) == b""
        socket.close()


def test_a_request_leaves_nothing_for_the_next() -> None:
    with LiveServer(echo) as server:
        connection = connect(server)
        for body in (b"{}", b"", b"[1]"):
            connection.request("POST", "/", body)
            assert read_response(connection) == (200, None, b"POST" + body)
        connection.close()


def test_one_thread_serves_several_connections() -> None:
    with LiveServer(echo, thread_workers=1) as server:
        connections = [connect(server) for _ in range(3)]
        for _ in range(2):
            for connection in connections:
                connection.request("GET", "/")
                assert read_response(connection) == (200, None, b"GET")
        for connection in connections:
            connection.close()


def test_fields_with_underscores_are_dropped() -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [])
        fields = sorted(f"{name}:{environ[name]}" for name in environ if "HEADER" in name)
        return [",".join(fields).encode()]

    with LiveServer(application) as server:
        connection = connect(server)
        fields = {"Some-Header": "good", "Some_Header": "bad", "Other_Header": "bad"}
        connection.request("GET", "/", headers=fields)
        assert read_response(connection) == (200, None, b"HTTP_SOME_HEADER:good")
        connection.close()


@pytest.mark.parametrize("fields", [[], [("Content-Length", "5")]])
def test_a_response_to_head_has_no_body(fields: list[tuple[str, str]]) -> None:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", fields)
        return [b"Hello"]

    with LiveServer(application) as server:
        connection = connect(server)
        for method in ("GET", "HEAD", "GET"):
            connection.request(method, "/")
            response = connection.getresponse()
            # It may be left out at HEAD (RFC 9110 section 9.3.2), but is never another.
            allowed = {"5", None} if method == "HEAD" and not fields else {"5"}
            assert response.getheader("Content-Length") in allowed
            assert response.read() == (b"" if method == "HEAD" else b"Hello")
        connection.close()
