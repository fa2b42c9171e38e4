"""Asynchronous applications, over real sockets: called on the pool and on the event loop."""

from __future__ import annotations

import http.client
import json
import socket
import subprocess
import sys
import threading
import time
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

import pytest
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

SITES = Path(__file__).parent / "sites"

APPLICATIONS = ["application", "on_loop"]
"""Called on a thread of the pool, and on the event loop."""


@pytest.fixture(scope="module")
def site(
    start_for_module: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Served]:
    """Serve an application on one worker, once for all tests: ``site(name, loop, *options)``."""

    @cache
    def site(name: str, loop: str = "uvloop", *options: str) -> Served:
        return start_for_module(*command(name, *options), env=environment(loop, tmp_path_factory))

    return site


@pytest.fixture
def own(
    start: Callable[..., Served], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., Served]:
    """Serve an application for one test."""

    def own(name: str, *options: str) -> Served:
        return start(*command(name, *options), env=environment("asyncio", tmp_path_factory))

    return own


def command(name: str, *options: str) -> list[str]:
    served = [sys.executable, "-m", "tower_wsgi", f"asynchronous:{name}", "--bind", "127.0.0.1:0"]
    return [*served, "-w", "1", "--pythonpath", str(SITES), *options]


def environment(loop: str, directories: pytest.TempPathFactory) -> dict[str, str]:
    """Without uvloop, although it is installed: a module of this name that cannot be imported."""
    env = {"PYTHONDONTWRITEBYTECODE": "1"}
    if loop == "asyncio":
        directory = directories.mktemp("no-uvloop")
        (directory / "uvloop.py").write_text("raise ImportError('not for this test')\n")
        env["PYTHONPATH"] = str(directory)
    return env


class Stream:
    """A response that is read piece by piece."""

    def __init__(self, server: Served, path: str, method: str = "GET") -> None:
        host, port = server.url.removeprefix("http://").split(":")
        self.connection = http.client.HTTPConnection(host, int(port), timeout=PATIENCE)
        self.connection.request(method, quote(path))
        self.response = self.connection.getresponse()

    def read(self, count: int) -> bytes:
        return self.response.read(count)

    def rest(self) -> bytes:
        return self.response.read()

    def close(self) -> None:
        self.connection.close()


def happened(server: Served, client: Client, name: str) -> int:
    return int(client.get(f"{server.url}/happened/{name}").text)


def wait_until(server: Served, client: Client, name: str, count: int = 1) -> None:
    deadline = time.monotonic() + PATIENCE
    while (now := happened(server, client, name)) < count:
        assert time.monotonic() < deadline, f"{name}: {now}, not {count}:\n{server.log}"
        time.sleep(0.01)
    assert happened(server, client, name) == count


FORMS = [
    ("plain", b"plain"),
    ("simple_async", b"hello World!"),
    ("future", b"a future"),
    ("timer", b"a timer"),
    ("coroutine", b"a coroutine"),
    ("task", b"a task"),
    ("awaitable", b"an awaitable"),
    ("concurrent", b"concurrent"),
    ("futures", b"f1,f2"),
    ("list", b"a list"),
    ("single", b"single"),
    ("tuple", b"a tuple"),
    ("of generator", b"one,two,three"),
    ("generator", b"one,two,three"),
    ("closed", b"one,two,three"),
]


@pytest.mark.parametrize("threads", ["5", "0"])
@pytest.mark.parametrize("loop", ["asyncio", "uvloop"])
@pytest.mark.parametrize("name", APPLICATIONS)
def test_each_form_has_the_right_bytes_in_the_right_order(
    site: Callable[..., Served], client: Client, name: str, loop: str, threads: str
) -> None:
    server = site(name, loop, "--thread-workers", threads)
    for path, expected in FORMS:
        for _ in range(2):
            response = client.get(f"{server.url}/{path}/forms")
            assert (response.status_code, response.content) == (200, expected), path
            if path == "list":
                continue  # its last piece is never reached, and Python says so
            head = client.head(f"{server.url}/{path}/head")
            assert (head.status_code, head.content) == (200, b""), path
    whole = client.get(f"{server.url}/{'plain' if name == 'on_loop' else 'future'}")
    assert whole.headers["content-length"] == str(len(whole.content))
    assert "was never awaited" not in server.log
    assert "the application failed" not in server.log


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_piece_is_sent_before_the_next_is_awaited(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    for kind in ("steps", "closed steps", "sync steps"):
        key = f"{kind} sent"
        with closing(Stream(server, f"/{kind}/{key}")) as stream:
            assert stream.read(3) == b"one"
            wait_until(server, client, f"waits {key}")
            client.get(f"{server.url}/open/{key}")
            assert stream.rest() == b"two"
        wait_until(server, client, f"ended {key}")
    wait_until(server, client, "aclose closed steps sent")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_body_is_closed_once_on_every_path(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    assert client.get(f"{server.url}/closed/whole").content == b"one,two,three"
    wait_until(server, client, "closed whole")
    wait_until(server, client, "aclose whole")
    client.head(f"{server.url}/closed steps/head only")
    wait_until(server, client, "aclose head only")
    with (
        closing(Stream(server, "/breaks/broken")) as stream,
        pytest.raises((http.client.IncompleteRead, ConnectionError)),
    ):
        stream.rest()
    wait_until(server, client, "aclose broken")
    stream = Stream(server, "/closed steps/left")
    assert stream.read(3) == b"one"
    wait_until(server, client, "waits left")
    reset(stream)
    wait_until(server, client, "cancelled left")
    wait_until(server, client, "aclose left")
    assert client.get(f"{server.url}/thread/aclose").text == "asyncio"
    assert client.get(f"{server.url}/thread/generator").text == "asyncio"


def reset(stream: Stream) -> None:
    """Leave as a client that is killed."""
    sock = stream.connection.sock
    assert sock is not None
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    stream.close()
    stream.response.close()


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_task_is_cancelled_when_its_client_leaves(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    stream = Stream(server, "/steps/gone")
    assert stream.read(3) == b"one"
    wait_until(server, client, "waits gone")
    reset(stream)
    wait_until(server, client, "cancelled gone")
    wait_until(server, client, "ended gone")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_piece_is_not_asked_for_while_the_client_does_not_read(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    stream = Stream(server, "/many/slow")
    stream.read(1)
    # Until the buffers of the sockets are full as well, or the machine is busy.
    before, now = -1, happened(server, client, "piece slow")
    deadline = time.monotonic() + PATIENCE
    while before != now:
        assert time.monotonic() < deadline
        time.sleep(0.1)
        before, now = now, happened(server, client, "piece slow")
    assert now < 2000
    # The kernel says that there is room only when much of its buffer is free.
    while happened(server, client, "piece slow") == now:
        assert len(stream.read(1 << 20)) == 1 << 20
    reset(stream)
    wait_until(server, client, "closed slow")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_write_returns_an_awaitable_when_there_is_no_room(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    response = client.get(f"{server.url}/writes/all")
    assert response.content == bytes(200 * 16 * 1024) + b"the end"
    assert happened(server, client, "written all") == 200
    assert 0 < happened(server, client, "waits all") < 200


def test_a_task_continues_after_its_whole_response(
    site: Callable[..., Served], client: Client
) -> None:
    server = site("on_loop")
    assert client.get(f"{server.url}/continues/later").content == b"whole"
    client.get(f"{server.url}/open/later")
    wait_until(server, client, "continued later")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_errors(site: Callable[..., Served], client: Client, name: str) -> None:
    server = site(name)
    assert client.get(f"{server.url}/fails").status_code == 500
    server.wait_for_log("LookupError: before the first piece")
    assert client.get(f"{server.url}/exits").status_code == 500
    server.wait_for_log("SystemExit: an exit in a task")
    assert client.get(f"{server.url}/wrong").status_code == 500
    server.wait_for_log("yielded str as a piece of its body, not bytes; encode it")
    with (
        closing(Stream(server, "/breaks/again")) as stream,
        pytest.raises((http.client.IncompleteRead, ConnectionError)),
    ):
        stream.rest()
    server.wait_for_log("LookupError: after the first piece")
    assert client.get(f"{server.url}/plain").content == b"plain"


@pytest.mark.parametrize("name", APPLICATIONS)
def test_each_request_has_a_context_of_its_own(
    site: Callable[..., Served], client: Client, name: str
) -> None:
    server = site(name)
    for _ in range(3):
        assert client.get(f"{server.url}/context").content == b"nothing, of this request"


def test_an_asynchronous_application_has_no_pool(
    site: Callable[..., Served], client: Client
) -> None:
    server = site("on_loop")
    assert client.get(f"{server.url}/plain").content == b"plain"
    assert client.get(f"{server.url}/thread/called").text == "asyncio"
    server = site("application")
    assert client.get(f"{server.url}/thread/called").text.startswith("worker-thread")


@pytest.mark.parametrize("name", APPLICATIONS)
def test_two_thousand_requests_wait_at_once_and_hold_no_thread(
    own: Callable[..., Served], client: Client, name: str
) -> None:
    """The first 1999 cannot end before the last arrives."""
    count = 2000
    server = own(name, "--max-connections", str(count + 100), "--thread-workers", "2")
    host, port = server.url.removeprefix("http://").split(":")
    request = f"GET /meets/{count} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
    sockets: list[socket.socket] = []
    try:
        for i in range(count):
            sockets.append(socket.create_connection((host, int(port)), timeout=PATIENCE))
            sockets[-1].sendall(request)
            if i % 500 == 499 and i + 1 < count:
                # The threads of the pool are free.
                assert client.get(f"{server.url}/plain").content == b"plain"
        for sock in sockets:
            received = b"".join(iter(lambda sock=sock: sock.recv(4096), b""))
            assert received.startswith(b"HTTP/1.1 200 OK\r\n")
            assert received.endswith(b"met")
    finally:
        for sock in sockets:
            sock.close()


def test_the_status_counts_tasks(
    own: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    control = str(tmp_path / "control.sock")
    server = own("application", "--control-socket", control)
    with closing(Stream(server, "/steps/counted")) as stream:
        assert stream.read(3) == b"one"
        ctl = [sys.executable, "-m", "tower_wsgi", "ctl", "status", "--json"]
        deadline = time.monotonic() + PATIENCE
        tasks = 0
        while tasks != 1:
            assert time.monotonic() < deadline
            status = subprocess.run(
                [*ctl, "--control-socket", control], check=True, capture_output=True
            )
            (served,) = json.loads(status.stdout)["status"]["servers"]
            tasks = served["workers"][0]["tasks"]
        client.get(f"{server.url}/open/counted")
        assert stream.rest() == b"two"


def test_an_application_that_holds_up_the_loop_is_named_and_the_pool_is_not_affected(
    own: Callable[..., Served], client: Client
) -> None:
    server = own("application")
    blocked = threading.Thread(target=client.get, args=(f"{server.url}/holds up/5",))
    blocked.start()
    (line,) = server.wait_for_log("holds up the event loop")
    assert "holds_up (" in line
    assert "asynchronous.py:" in line
    # While it is held up, a thread of the pool serves.
    for _ in range(10):
        assert client.get(f"{server.url}/plain").content == b"plain"
    assert blocked.is_alive()
    server.wait_for_log("the event loop runs again")
    blocked.join(PATIENCE)
    assert server.log.count("holds up the event loop") == 1


def test_tasks_end_before_a_stop(own: Callable[..., Served], client: Client) -> None:
    server = own("application", "--graceful-timeout", "30")
    assert client.get(f"{server.url}/background").content == b"started"
    assert server.stop() == 0
    assert "the background task has finished" in server.log


def test_a_task_that_ignores_its_cancellation_does_not_hold_up_a_stop(
    own: Callable[..., Served], client: Client
) -> None:
    server = own("on_loop", "--graceful-timeout", "1")
    stream = threading.Thread(target=ignore_end, args=(server, "/ignores"), daemon=True)
    stream.start()
    wait_until(server, client, "ignores")
    since = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - since < PATIENCE / 2
    assert "ignores" in server.log.split("ignore their cancellation")[1].split("\n")[0]
    stream.join(PATIENCE)


def ignore_end(server: Served, path: str) -> None:
    try:
        with closing(Stream(server, path)) as stream:
            stream.rest()
    except (http.client.HTTPException, OSError):
        pass


SOURCE = """
import functools

async def function(environ, start_response):
    start_response("200 OK", [])
    return [b"function"]

class Methods:
    async def method(self, environ, start_response):
        start_response("200 OK", [])
        return [b"method"]

    async def __call__(self, environ, start_response):
        start_response("200 OK", [])
        yield b"callable"

methods = Methods()
method = methods.method

async def with_prefix(prefix, environ, start_response):
    start_response("200 OK", [])
    return [prefix]

partial = functools.partial(with_prefix, b"partial")

async def asgi(scope, receive, send):
    pass
"""


@pytest.mark.parametrize(
    ("place", "body"),
    [
        ("app:function", "function"),
        ("app:method", "method"),
        ("app:methods", "callable"),
        ("app:partial", "partial"),
    ],
)
def test_an_asynchronous_application_is_recognized(
    serve: Callable[..., Served], client: Client, place: str, body: str
) -> None:
    server = serve(place, "-w", "1", source=SOURCE)
    assert client.get(server.url).text == body


def test_an_asgi_application_is_refused_in_one_sentence(serve: Callable[..., Served]) -> None:
    server = serve("app:asgi", "-w", "1", source=SOURCE, addresses=0)
    assert server.wait() == 1
    assert server.log.count("takes three arguments, as an ASGI application does") == 1
    assert "Traceback" not in server.log


ASYNC_VIEWS = """
import asyncio
import sys

import django
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from flask import Flask

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="x")

async def view(request):
    await asyncio.sleep(0.001)
    return HttpResponse("django")

urlpatterns = [path("", view)]
django_app = get_wsgi_application()

flask_app = Flask(__name__)

@flask_app.get("/")
async def index():
    await asyncio.sleep(0.001)
    return "flask"

async def hello():
    await asyncio.sleep(0.001)
    return [b"run"]

# As code does that was written for threads of its own.
def old(environ, start_response):
    start_response("200 OK", [])
    loop = asyncio.get_event_loop()
    return loop.run_until_complete(hello())

def runs(environ, start_response):
    start_response("200 OK", [])
    # The application's own loop, and then that of the server again.
    body = asyncio.run(hello())
    assert async_to_sync(hello)() == body
    return body

def future(environ, start_response):
    start_response("200 OK", [])
    future = asyncio.Future()
    future.set_result([b"future"])
    return future

def all(environ, start_response):
    application = {"/runs": runs, "/future": future, "/old": old}[environ["PATH_INFO"]]
    return application(environ, start_response)
"""


@pytest.mark.parametrize("threads", ["2", "0"])
def test_the_asynchronous_views_of_flask_and_django_work(
    serve: Callable[..., Served], client: Client, threads: str
) -> None:
    for name in ("flask", "django"):
        options = ("-w", "1", "--thread-workers", threads)
        server = serve(f"app:{name}_app", *options, source=ASYNC_VIEWS)
        for _ in range(3):
            assert client.get(server.url).text == name


def test_an_application_may_run_a_loop_of_its_own(
    serve: Callable[..., Served], client: Client
) -> None:
    server = serve("app:all", "-w", "1", "--thread-workers", "1", source=ASYNC_VIEWS)
    for _ in range(2):
        assert client.get(f"{server.url}/old").text == "run"
        assert client.get(f"{server.url}/runs").text == "run"
        assert client.get(f"{server.url}/future").text == "future"
