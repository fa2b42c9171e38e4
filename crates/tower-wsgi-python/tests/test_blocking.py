"""Applications that wait or compute, and their effect on other requests.

The tests look at the order of events: an application asks the test, and continues after the reply,
so that nothing depends on a clock. `compare` measures the number of requests per second of threads
that wait.
"""

from __future__ import annotations

import http.client
import json
import sys
from collections import deque
from contextlib import ExitStack, closing, contextmanager
from statistics import median
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE
from processes import questions
from suites.sources import TARGET

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Served

THREADS = 10
CLIENTS = 2 * THREADS
REQUESTS = 10 * CLIENTS

WAITING = """
import json
import os
import resource
import socket
import threading

host, _, port = os.environ["QUESTIONS"].rpartition(":")
local = threading.local()

def waits():
    # How often this thread has left its core to wait for something.
    return resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw

def application(environ, start_response):
    begin = waits()
    last = getattr(local, "end", begin)
    path = environ["PATH_INFO"]
    with socket.create_connection((host, int(port))) as question:
        question.sendall(json.dumps([path, begin - last]).encode() + b"\\n")
        question.recv(100)
    local.end = waits()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps([path, local.end - begin]).encode()]
"""


@contextmanager
def connected(url: str) -> Iterator[http.client.HTTPConnection]:
    """A client with a connection of its own."""
    address = urlsplit(url)
    assert address.hostname
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
    with closing(client):
        client.connect()
        yield client


def read(client: http.client.HTTPConnection) -> bytes:
    with client.getresponse() as response:
        assert response.status == 200
        return response.read()


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts for each thread")
def test_ten_threads_wait_at_once_and_each_continues_by_itself(
    serve: Callable[..., Served],
) -> None:
    """So they handle requests as often as ten bare threads that wait for the same time."""
    with ExitStack() as stack:
        doors = stack.enter_context(questions())
        server = serve(
            *("app:application", "--workers", "1", "--thread-workers", str(THREADS)),
            source=WAITING,
            env={"QUESTIONS": doors.address},
        )
        clients = {
            f"/{number}": stack.enter_context(connected(server.url)) for number in range(CLIENTS)
        }
        for path, client in clients.items():
            client.request("GET", path)
        # All threads are in a request, and as many requests wait.
        inside = deque(stack.enter_context(doors.take()) for _ in range(THREADS))
        in_requests = []
        between_requests = []
        for number in range(REQUESTS):
            # The oldest request continues, and none of the others.
            question = inside.popleft()
            path, waits = json.loads(question.text)
            if number >= THREADS:
                between_requests.append(waits)
            question.reply()
            # Its client has the response, and its thread takes the next request.
            path_of_response, waits = json.loads(read(clients[path]))
            assert path_of_response == path
            in_requests.append(waits)
            if number + THREADS < REQUESTS:
                inside.append(stack.enter_context(doors.take()))
            if number + CLIENTS < REQUESTS:
                clients[path].request("GET", path)
    # Where each request needed a wait, for a clock or for another thread, all had some. The kernel
    # counts one that two threads have for the same lock, too, but that is a rare one.
    assert min(in_requests) >= 1
    assert median(between_requests) == 0, between_requests


HOLDING = """
import ctypes
import os
import socket
import sys

host, _, port = os.environ["QUESTIONS"].rpartition(":")
# Such a call keeps the interpreter's lock, and no other thread gets it before this one waits.
libc = ctypes.PyDLL(None)
sys.setswitchinterval(1000)

def app(environ, start_response):
    if environ["PATH_INFO"] == "/hold":
        question = socket.create_connection((host, int(port)))
        libc.send(question.fileno(), b"holds\\n", 6, 0)
        libc.recv(question.fileno(), ctypes.create_string_buffer(1), 1, 0)
        question.close()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read()]
"""


def health(url: str) -> None:
    with connected(url) as client:
        # The later ones find what the event loop has begun in the turn of the first one.
        for _ in range(3):
            client.request("GET", "/health")
            assert read(client) == b"ok"


def refusal(url: str) -> None:
    for _ in range(3):
        with connected(url) as client:
            client.putrequest("GET", "/", skip_host=True)
            client.endheaders()
            with client.getresponse() as response:
                assert response.status == 400


@pytest.mark.parametrize("ask", [health, refusal])
def test_a_request_that_computes_does_not_delay_what_rust_serves(
    start: Callable[..., Served], tmp_path: Path, ask: Callable[[str], None]
) -> None:
    """It keeps the interpreter's lock until Rust has sent all of its responses."""
    if ask is health:
        program = TARGET / "debug" / "flask-in-axum"
        assert program.exists(), f"{program} is missing: run `cargo build --package flask-in-axum`"
        command: list[str | Path] = [program]
    else:
        command = [sys.executable, "-m", "tower_wsgi", "shop:app"]
    (tmp_path / "shop.py").write_text(HOLDING)
    with ExitStack() as stack:
        doors = stack.enter_context(questions())
        server = start(
            *(*command, "--bind", "127.0.0.1:0", "--workers", "1"),
            *("--thread-workers", "3"),
            env={"VIRTUAL_ENV": sys.prefix, "QUESTIONS": doors.address},
        )
        computes, left = (stack.enter_context(connected(server.url)) for _ in range(2))
        computes.request("GET", "/hold")
        question = stack.enter_context(doors.take())
        ask(server.url)
        # As many wait for Python as have a thread, and some more.
        others = [stack.enter_context(connected(server.url)) for _ in range(10)]
        for other in others:
            other.request("POST", "/", body=b"for Python")
        left.request("GET", "/")
        ask(server.url)
        # One of them leaves, and one does before all of it has come.
        left.close()
        with connected(server.url) as part:
            assert part.sock
            part.sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf")
            ask(server.url)
        ask(server.url)
        question.reply()
        assert read(computes) == b""
        for other in others:
            assert read(other) == b"for Python"
