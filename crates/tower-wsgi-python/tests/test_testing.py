"""A live server in the process of the tests."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests

from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from pathlib import Path

PATIENCE = 60.0


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def connect(url: str) -> http.client.HTTPConnection:
    address = urlsplit(url)
    assert address.hostname is not None
    return http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)


def test_application_and_test_share_their_memory() -> None:
    seen = []

    def application(environ: Any, start_response: Any) -> list[bytes]:
        seen.append((environ["REQUEST_METHOD"], environ["wsgi.input"].read()))
        seen.append((environ["wsgi.multithread"], environ["wsgi.multiprocess"]))
        return hello(environ, start_response)

    with LiveServer(application) as server:
        assert requests.post(server.url, data=b"body", timeout=PATIENCE).content == b"hello"
    assert seen == [("POST", b"body"), (True, False)]


def test_it_listens_until_it_is_stopped() -> None:
    server = LiveServer(hello)
    address = urlsplit(server.url)
    assert requests.get(server.url, timeout=PATIENCE).ok
    assert server.stop() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.hostname, address.port), PATIENCE)
    assert server.stop() == 0, "a second time it does nothing"


def test_two_at_once_and_one_after_the_other() -> None:
    for _ in range(3):
        with LiveServer(hello) as first, LiveServer(hello, thread_workers=0) as second:
            assert first.url != second.url
            for server in (first, second):
                assert requests.get(server.url, timeout=PATIENCE).content == b"hello"


def test_a_stop_waits_for_what_runs() -> None:
    called = threading.Event()
    go_on = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        called.set()
        assert go_on.wait(PATIENCE)
        return hello(environ, start_response)

    server = LiveServer(application)
    connection = connect(server.url)
    connection.request("GET", "/")
    assert called.wait(PATIENCE)
    stop = threading.Thread(target=server.stop)
    stop.start()
    address = urlsplit(server.url)
    while True:
        try:
            socket.create_connection((address.hostname, address.port), PATIENCE).close()
        except ConnectionRefusedError:
            break
    assert stop.is_alive()
    go_on.set()
    assert connection.getresponse().read() == b"hello"
    connection.close()
    stop.join(PATIENCE)
    assert not stop.is_alive()


def test_what_runs_longer_is_cut_and_counted() -> None:
    called = threading.Event()
    go_on = threading.Event()
    left = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        called.set()
        assert go_on.wait(PATIENCE)
        left.set()
        return hello(environ, start_response)

    server = LiveServer(application, graceful_timeout=0)
    connection = connect(server.url)
    connection.request("GET", "/")
    assert called.wait(PATIENCE)
    assert server.stop() == 1
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.getresponse()
    connection.close()
    go_on.set()
    assert left.wait(PATIENCE)


def test_requests_run_at_the_same_time() -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def application(environ: Any, start_response: Any) -> list[bytes]:
        both.wait()
        return hello(environ, start_response)

    with LiveServer(application, thread_workers=2) as server:
        connections = [connect(server.url) for _ in range(2)]
        for connection in connections:
            connection.request("GET", "/")
        for connection in connections:
            assert connection.getresponse().read() == b"hello"
            connection.close()


def test_a_program_that_ends_waits_for_what_runs() -> None:
    program = """
import atexit, threading, time, urllib.request
from tower_wsgi.testing import LiveServer

done = []
atexit.register(lambda: print(done))
called = threading.Event()

def application(environ, start_response):
    called.set()
    time.sleep(0.5)
    done.append("served")
    start_response("200 OK", [])
    return [b"hello"]

server = LiveServer(application)
threading.Thread(target=urllib.request.urlopen, args=[server.url], daemon=True).start()
called.wait()
"""
    run = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE
    )
    assert (run.returncode, run.stdout, run.stderr) == (0, "['served']\n", "")


def test_a_unix_socket(tmp_path: Path) -> None:
    path = tmp_path / "live.sock"
    with LiveServer(hello, bind=f"unix:{path}") as server:
        assert server.url == f"unix:{path}"
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(PATIENCE)
            client.connect(str(path))
            client.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert client.makefile("rb").read().endswith(b"\r\n\r\nhello")
    assert not path.exists()


def test_what_keeps_it_from_starting() -> None:
    with LiveServer(hello) as server:
        taken = server.url.removeprefix("http://")
        with pytest.raises(OSError, match=f"cannot listen on {taken}: address in use"):
            LiveServer(hello, bind=taken)
    with pytest.raises(TypeError, match="not a WSGI application"):
        LiveServer("hello")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="has no workers"):
        LiveServer(hello, workers=2)
    with pytest.raises(TypeError, match="no setting of this name"):
        LiveServer(hello, speed=2)
    with pytest.raises(ValueError, match="graceful_timeout"):
        LiveServer(hello, graceful_timeout=-1)
