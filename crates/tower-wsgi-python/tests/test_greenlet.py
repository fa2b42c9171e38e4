"""Greenlets: blocking code on gevent's hub, above all with PostgreSQL."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import socket
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from conftest import PATIENCE
from postgresql import postgresql_server  # noqa: F401  (a fixture)
from processes import memory, wait_until, workers
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Client, Served
    from postgresql import Postgresql

SITES = Path(__file__).parent / "sites"
DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
LOCK = 1234


class Site:
    """The project of `greenlet_site.py`, served, and its database."""

    def __init__(self, server: Served, database: Postgresql, name: str) -> None:
        self.server = server
        self.database = database
        self.name = name

    @property
    def url(self) -> str:
        return self.server.url

    def connections(self) -> int:
        return self.database.connections(self.name)

    def waiting(self) -> int:
        """Count its connections that wait for a lock of the test."""
        waits = "wait_event_type = 'Lock' AND wait_event = 'advisory'"
        return self.database.count(f"application_name = %s AND {waits}", self.name)


@pytest.fixture
def site(
    start: Callable[..., Served], postgresql: Postgresql, request: pytest.FixtureRequest
) -> Callable[..., Site]:
    """Serve the project: ``site("--greenlet", …, driver=…, pulse=…)``, with an empty table."""
    with postgresql.connect() as connection:
        connection.execute("DROP TABLE IF EXISTS notes")
        connection.execute("CREATE TABLE notes (id bigserial PRIMARY KEY, text text NOT NULL)")

    def site(
        *options: str, driver: str = "psycopg", pulse: bool = False, age: int = 0, workers: int = 1
    ) -> Site:
        name = request.node.name[:60]
        environment = {
            **postgresql.environ,
            "PGAPPNAME": name,
            "DJANGO_SETTINGS_MODULE": "greenlet_settings",
            "GREENLET_SITE_CONN_MAX_AGE": str(age),
            "GREENLET_SITE_DRIVER": driver,
            "PYTHONPATH": str(SITES),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        program = ["django", "pulse"] if pulse else ["tower_wsgi", "greenlet_site"]
        command = [sys.executable, "-m", *program, "--bind", "127.0.0.1:0"]
        server = start(*command, "--workers", str(workers), *options, env=environment)
        return Site(server, postgresql, name)

    return site


@contextmanager
def clients(site: Site, count: int, path: str, lock: int | None = None) -> Iterator[list[Any]]:
    """Send requests at once; their responses are in the list after the block.

    They wait for ``lock`` until the end of the block.
    """
    responses: list[Any] = []
    with ThreadPoolExecutor(count) as pool:
        with site.database.connect() as connection:
            if lock is not None:
                connection.execute("SELECT pg_advisory_lock(%s)", [lock])
                path += f"{'&' if '?' in path else '?'}lock={lock}"
            url = site.url + path
            sent = [pool.submit(requests.get, url, timeout=PATIENCE) for _ in range(count)]
            yield responses
        responses += [future.result() for future in sent]


@pytest.mark.parametrize(
    ("driver", "pulse"), [("psycopg", False), ("psycopg2", False), ("psycopg", True)]
)
def test_a_hundred_requests_wait_for_the_database_at_once(
    site: Callable[..., Site], driver: str, pulse: bool
) -> None:
    served = site("--greenlet", driver=driver, pulse=pulse)
    with clients(served, 100, "/hold/", LOCK) as responses:
        wait_until(lambda: served.waiting() == 100)
    pages = [response.json() for response in responses]
    assert {page["driver"] for page in pages} == {driver}
    assert {page["multithread"] for page in pages} == {True}
    assert len({page["backend"] for page in pages}) == 100
    (line,) = re.findall(r"each greenlet may open a connection.*", served.server.log)
    assert "greenlets=100 workers=1 connections=100" in line
    # As Django's setting says, each request closes its connection.
    wait_until(lambda: served.connections() == 0)
    assert served.server.stop() == 0


def test_two_workers_have_two_hundred(site: Callable[..., Site]) -> None:
    # So that each worker takes half of the connections.
    served = site("--greenlet", "100", "--max-connections", "100", workers=2)
    assert "greenlets=100 workers=2 connections=200" in served.server.log
    with clients(served, 200, "/hold/", LOCK) as responses:
        wait_until(lambda: served.waiting() == 200)
    assert len({response.json()["worker"] for response in responses}) == 2


def test_requests_beyond_the_number_of_greenlets_wait(site: Callable[..., Site]) -> None:
    served = site("--greenlet", "3", age=60)
    with clients(served, 10, "/hold/", LOCK) as responses:
        wait_until(lambda: served.waiting() == 3)
    backends = {response.json()["backend"] for response in responses}
    # A greenlet responds to one request after the other, and keeps its connection.
    assert len(backends) == served.connections() == 3


@DRIVERS
def test_transactions_do_not_mix(site: Callable[..., Site], driver: str, client: Client) -> None:
    served = site("--greenlet", "5", driver=driver, age=60)
    with clients(served, 1, "/note/?text=held", LOCK) as responses:
        wait_until(lambda: served.waiting() == 1)
        assert client.get(served.url + "/notes/").json() == []
        assert client.get(served.url + "/note/?text=unwanted&fails").status_code == 500
        assert client.get(served.url + "/note/?text=wanted").json() == ["wanted"]
    assert responses[0].json() == ["held", "wanted"]


def test_a_rollback_touches_no_other_transaction(site: Callable[..., Site]) -> None:
    served = site("--greenlet", "5", age=60)
    with clients(served, 1, "/note/?text=kept", LOCK) as kept:
        wait_until(lambda: served.waiting() == 1)
        with clients(served, 1, "/note/?text=lost&fails", LOCK + 1) as lost:
            wait_until(lambda: served.waiting() == 2)
        assert lost[0].status_code == 500
    assert kept[0].json() == ["kept"]


@DRIVERS
def test_connections_are_closed_at_the_stop(site: Callable[..., Site], driver: str) -> None:
    served = site("--greenlet", "10", driver=driver, age=600)
    with clients(served, 10, "/hold/", LOCK):
        wait_until(lambda: served.waiting() == 10)
    assert served.connections() == 10

    def lost() -> int:
        with served.database.connect() as connection:
            query = "SELECT sum(sessions_abandoned) FROM pg_stat_database"
            row = connection.execute(query).fetchone()
        assert row is not None
        return int(row[0])

    before = lost()
    assert served.server.stop() == 0
    wait_until(lambda: served.connections() == 0)
    # PostgreSQL counts the connections of which the client has gone without a word.
    assert lost() == before


def test_a_client_that_leaves_ends_its_greenlet(site: Callable[..., Site]) -> None:
    served = site("--greenlet", "1", age=600)
    host, port = served.url.removeprefix("http://").split(":")
    client = socket.create_connection((host, int(port)), timeout=PATIENCE)
    client.sendall(b"GET /stream/ HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    received = b""
    while b"\n3\n" not in received.replace(b"\r", b""):
        received += client.recv(65536)
    # Its end is a reset.
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    served.server.wait_for_log("the stream is closed")
    # The only greenlet serves again, on a connection of its own.
    with clients(served, 3, "/note/?text=later") as responses:
        pass
    assert [response.status_code for response in responses] == [200] * 3
    wait_until(lambda: served.connections() == 1)
    assert served.server.stop() == 0
    assert served.server.log.count("interrupted by GreenletExit") == 1
    assert served.server.log.count("the stream is closed") == 1
    assert "the application failed" not in served.server.log


def test_errors_and_uploads(site: Callable[..., Site], client: Client) -> None:
    served = site("--greenlet", "4")
    failed = client.get(served.url + "/fails/")
    assert failed.status_code == 500
    body = os.urandom(1 << 20) * 20
    digest = client.post(served.url + "/upload/", data=body).text
    assert digest == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("sign", ["SIGHUP", "SIGTERM"])
def test_under_load_nothing_is_lost(site: Callable[..., Site], sign: str) -> None:
    served = site("--greenlet", "20", workers=2)
    with clients(served, 20, "/note/?text=held", LOCK) as responses:
        wait_until(lambda: served.waiting() == 20)
        served.server.process.send_signal(getattr(signal, sign))
        if sign == "SIGHUP":
            # The old workers are still there, with their requests, when the new ones serve.
            served.server.wait_for_log("reloaded")
            assert requests.get(served.url, timeout=PATIENCE).text == "a page"
        else:
            served.server.wait_for_log("stopping")
        assert served.waiting() == 20
    assert [response.status_code for response in responses] == [200] * 20


def test_a_worker_that_is_killed_is_replaced(site: Callable[..., Site]) -> None:
    served = site("--greenlet", "5")
    (worker,) = workers(served.server)
    with pytest.raises(requests.ConnectionError), clients(served, 5, "/hold/", LOCK):
        wait_until(lambda: served.waiting() == 5)
        os.kill(worker, signal.SIGKILL)
        served.server.wait_for_log("worker died")
        served.server.wait_for_log("worker replaced")
    assert requests.get(served.url, timeout=PATIENCE).text == "a page"
    wait_until(lambda: served.connections() == 0)


def test_many_requests_leak_nothing(site: Callable[..., Site]) -> None:
    served = site("--greenlet", "10", age=600)
    (worker,) = workers(served.server)

    def load(count: int) -> None:
        def run() -> None:
            with requests.Session() as session:
                for _ in range(count):
                    assert session.get(served.url, timeout=PATIENCE).text == "a page"
                session.get(served.url + "/fails/", timeout=PATIENCE)
                session.get(served.url + "/notes/", timeout=PATIENCE)

        threads = [threading.Thread(target=run) for _ in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    load(50)
    before, descriptors = memory(worker), len(os.listdir(f"/proc/{worker}/fd"))  # noqa: PTH208
    load(100)
    assert memory(worker) - before < 8 << 20
    assert len(os.listdir(f"/proc/{worker}/fd")) <= descriptors + 10  # noqa: PTH208
    # Each greenlet that a client has left, or an error has ended, gives its place back.
    with clients(served, 10, "/hold/", LOCK):
        wait_until(lambda: served.waiting() == 10)
    assert served.connections() == 10


PLAIN = """
import os, signal, subprocess, sys, threading, time

local = threading.local()
background = []

def handle(*_):
    print("handled in", threading.current_thread().name, file=sys.stderr, flush=True)

signal.signal(signal.SIGUSR1, handle)
threading.Thread(target=lambda: (time.sleep(0.01), background.append("ran"))).start()

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/subprocess":
        body = subprocess.run(["echo", "a child"], capture_output=True).stdout
    elif path == "/background":
        while not background:
            time.sleep(0.01)
        body = background[0].encode()
    elif path == "/pid":
        body = str(os.getpid()).encode()
    elif path == "/blocks":
        from gevent import monkey
        monkey.get_original("time", "sleep")(3)
        body = b"it took long"
    elif path == "/file":
        start_response("200 OK", [])
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    elif path == "/write":
        write = start_response("200 OK", [])
        for _ in range(200):
            write(b"x" * 65536)
        return [b"end"]
    elif path == "/later":
        write = start_response("200 OK", [])
        write(b"first ")
        start_response("500 Internal Server Error", [], _exc_info())
    elif path == "/coroutine":
        async def later():
            return [b""]
        coroutine = later()
        coroutine.close()
        return coroutine
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [body]

def _exc_info():
    try:
        raise LookupError("it is too late")
    except LookupError:
        return sys.exc_info()
"""


def test_an_application_finds_what_it_needs(serve: Callable[..., Served], client: Client) -> None:
    """Children, signal handlers, threads that it starts at import, files, `write`."""
    server = serve("app:application", "--workers", "1", "--greenlet", "2", source=PLAIN)
    assert client.get(server.url + "/subprocess").text == "a child\n"
    assert client.get(server.url + "/background").text == "ran"
    assert client.get(server.url + "/file").text == PLAIN
    assert client.get(server.url + "/write").content == b"x" * 65536 * 200 + b"end"
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(server.url + "/later")
    server.wait_for_log("LookupError: it is too late")
    assert client.get(server.url + "/unknown").status_code == 500
    server.wait_for_log("UnboundLocalError")
    assert client.get(server.url + "/coroutine").status_code == 500
    server.wait_for_log("greenlets run blocking applications; serve it without --greenlet")
    os.kill(int(client.get(server.url + "/pid").text), signal.SIGUSR1)
    server.wait_for_log("handled in MainThread")
    assert server.stop() == 0


SOCKETS = """
import time
from flask import Flask
from flask_sock import Sock
from tower_wsgi import ws, wsgi

flask = Flask(__name__)
sock = Sock(flask)

@sock.route("/echo")
def echo(socket):
    while True:
        socket.send(socket.receive())

@flask.route("/")
def page():
    return "a page"

class Echo(ws.WS):
    def on_message(self, websocket, message):
        time.sleep(0.01)
        websocket.write(message)

application = wsgi.WsgiHandler([ws.WebSocket("/events", Echo()), flask])
"""


@pytest.mark.parametrize("path", ["/echo", "/events"])
def test_open_sockets_hold_no_greenlet_of_a_request(
    serve: Callable[..., Served], client: Client, path: str
) -> None:
    server = serve("app:application", "--workers", "1", "--greenlet", "2", source=SOCKETS)
    url = server.url.replace("http:", "ws:") + path
    with ExitStack() as stack:
        sockets = [stack.enter_context(connect(url, open_timeout=PATIENCE)) for _ in range(5)]
        for number, connected in enumerate(sockets):
            connected.send(f"{number}" * 100_000)
        for number, connected in enumerate(sockets):
            assert connected.recv(timeout=PATIENCE) == f"{number}" * 100_000
        assert client.get(server.url).text == "a page"
    assert client.get(server.url).text == "a page"
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_a_hub_that_is_held_up_is_logged(serve: Callable[..., Served], client: Client) -> None:
    server = serve("app:application", "--workers", "1", "--greenlet", "2", source=PLAIN)
    assert client.get(server.url + "/blocks").text == "it took long"
    (line,) = server.wait_for_log("holds up the event loop")
    assert 'event_loop="gevent"' in line
    assert "application (" in line


def test_a_database_that_blocks_the_hub_is_named(start: Callable[..., Served]) -> None:
    environment = {
        "GREENLET_SITE_ENGINE": "django.db.backends.sqlite3",
        "PYTHONPATH": str(SITES),
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    command = [sys.executable, "-m", "tower_wsgi", "greenlet_site", "--bind", "127.0.0.1:0"]
    server = start(*command, "--workers", "1", "--greenlet", env=environment)
    (line,) = re.findall(r"the client of a database waits.*", server.log)
    assert "default (SQLite)" in line


def refused(start: Callable[..., Served], *options: str, **more: Any) -> str:
    command = [sys.executable, "-m", "tower_wsgi", "app:application", "--bind", "127.0.0.1:0"]
    server = start(*command, *options, addresses=0, **more)
    assert server.wait() != 0
    assert "Traceback" not in server.log
    return server.log


def test_without_gevent_the_extra_is_named(start: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("application = lambda environ, start_response: []\n")
    missing = 'raise ModuleNotFoundError("No module named \'gevent\'", name="gevent")\n'
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "gevent.py").write_text(missing)
    environment = {"PYTHONPATH": str(tmp_path / "path")}
    log = refused(start, "--greenlet", "--workers", "1", env=environment)
    assert "pip install tower-wsgi[greenlet]" in log


def test_what_greenlets_exclude(start: Callable[..., Served], tmp_path: Path) -> None:
    log = refused(start, "--greenlet", "--thread-workers", "2")
    assert "--greenlet and --thread-workers exclude each other" in log
    (tmp_path / "app.py").write_text("async def application(environ, start_response): ...\n")
    log = refused(start, "--greenlet", "--workers", "1")
    assert "leave --greenlet out" in log


PROGRAM = """
{first}
from tower_wsgi import wsgi

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(environ["pulsar.cfg"].greenlet).encode()]

wsgi.WSGIServer(application, bind="127.0.0.1:0", workers=1, greenlet=7).start()
"""


def test_a_program_patches_itself(
    start: Callable[..., Served], tmp_path: Path, client: Client
) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM.format(first="from gevent import monkey; monkey.patch_all()"))
    server = start(sys.executable, program)
    assert client.get(server.url).text == "7"
    assert server.stop() == 0
    program.write_text(PROGRAM.format(first=""))
    server = start(sys.executable, program, addresses=0)
    assert server.wait() == 1
    assert "from gevent import monkey; monkey.patch_all()" in server.log
