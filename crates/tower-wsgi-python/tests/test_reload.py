"""Workers that end and are replaced under load, with an application that takes 3 s to import.

The variable `STRESS_RELOADS` sets the number of reloads under load, 4 without it.
"""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Served

PATIENCE = 60.0

RELOADS = int(os.environ.get("STRESS_RELOADS", "4"))

BODY = b"x" * (16 << 10)

# It notes each request that it sees: a test can tell which of those that failed it has seen.
SOURCE = """
import os, pathlib, time

here = pathlib.Path(__file__).parent
with open(here / "imports", "a") as imports:
    imports.write(f"{os.getpid()}\\n")
time.sleep(float((here / "seconds").read_text()))
seen = os.open(here / "seen", os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def application(environ, start_response):
    body = environ["wsgi.input"].read()
    os.write(seen, environ["PATH_INFO"].encode() + b"\\n")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d %d" % (os.getpid(), len(body))]
"""


@dataclass
class Client:
    """Sends one request after the other, each with a path of its own."""

    name: str
    url: str
    keep_alive: bool
    post: bool
    handled: list[str] = field(default_factory=list)
    pids: dict[int, int] = field(default_factory=dict)
    """The number of responses of each process."""
    failures: list[tuple[str, bool, Exception]] = field(default_factory=list)
    """The path, whether the connection had been used before, and what happened."""

    def __post_init__(self) -> None:
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(PATIENCE)
        assert not self._thread.is_alive()

    def _run(self) -> None:
        address = urlsplit(self.url)
        assert address.hostname
        connection = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)
        number = 0
        # A short pause: what is tested is not how much the machine can do.
        while not self._stop.wait(0.003):
            number += 1
            path = f"/{self.name}/{number}"
            used = connection.sock is not None
            try:
                self._request(connection, path)
            except ConnectionRefusedError as error:
                self.failures.append((path, False, error))
                # The server no longer listens.
                break
            except (OSError, http.client.HTTPException) as error:
                self.failures.append((path, used, error))
                connection.close()
            if not self.keep_alive:
                connection.close()
        connection.close()

    def _request(self, connection: http.client.HTTPConnection, path: str) -> None:
        if self.post:
            connection.request("POST", path, BODY)
        else:
            connection.request("GET", path)
        response = connection.getresponse()
        text = response.read()
        if response.status != 200:
            raise http.client.HTTPException(f"{response.status}: {text!r}")
        pid, length = map(int, text.split())
        if length != (len(BODY) if self.post else 0):
            raise http.client.HTTPException(f"it has seen {length} bytes of {len(BODY)}")
        self.pids[pid] = self.pids.get(pid, 0) + 1
        self.handled.append(path)


class Shop:
    """The server, its application, and the clients."""

    def __init__(self, serve: Callable[..., Served], folder: Path, *options: str) -> None:
        self.folder = folder
        self.import_takes(3)
        self.server = serve("app:application", *options, source=SOURCE)
        self.clients: list[Client] = []

    def import_takes(self, seconds: float) -> None:
        """From the next start of a worker on."""
        self.write("seconds", str(seconds))

    def write(self, name: str, text: str) -> None:
        # In one step: a worker may be reading it.
        new = self.folder / "new"
        new.write_text(text)
        new.rename(self.folder / name)

    def open(self) -> None:
        for keep_alive in (True, False):
            for post in (True, False):
                for twin in range(2):
                    name = f"{keep_alive:d}{post:d}{twin}"
                    self.clients.append(Client(name, self.server.url, keep_alive, post))
        self.wait_for_responses()

    def wait_for_responses(self) -> None:
        """Each client gets some more."""
        wanted = [len(client.handled) + 5 for client in self.clients]
        wait(
            "responses for all",
            lambda: all(
                len(client.handled) >= count
                for client, count in zip(self.clients, wanted, strict=True)
            ),
        )

    def close(self) -> None:
        for client in self.clients:
            client.stop()

    def imports(self) -> list[int]:
        """The process of each worker that has begun to import the application."""
        return [int(line) for line in (self.folder / "imports").read_text().split()]

    def seen(self) -> set[str]:
        """The requests that the application was called for."""
        return set((self.folder / "seen").read_text().split())

    def failures(self) -> list[tuple[str, bool, Exception]]:
        return [failure for client in self.clients for failure in client.failures]

    def reload(self) -> None:
        self.server.process.send_signal(signal.SIGHUP)


def wait(what: str, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not in time"
        time.sleep(0.01)


@pytest.fixture
def shop(serve: Callable[..., Served], tmp_path: Path) -> Iterator[Shop]:
    shop = Shop(serve, tmp_path, "--workers", "2", "--thread-workers", "4")
    yield shop
    shop.close()


def test_a_stop_under_load_completes_what_has_begun(shop: Shop) -> None:
    shop.open()
    assert shop.server.stop() == 0
    shop.close()
    seen = shop.seen()
    assert sum(len(client.handled) for client in shop.clients) > 0
    for path, used, error in shop.failures():
        # The application has completed all of its calls.
        assert path not in seen, (path, error)
        # Only a client that uses a connection again may meet its end: RFC 9112 section 9.3.1.
        assert used or isinstance(error, ConnectionRefusedError), (path, error)
    assert "cut" not in shop.server.log


def test_a_killed_worker_loses_only_what_it_was_running(shop: Shop) -> None:
    shop.open()
    wait("responses of both", lambda: len({pid for one in shop.clients for pid in one.pids}) == 2)
    victim, sibling = shop.imports()
    os.kill(victim, signal.SIGKILL)
    # The other serves while the new one imports.
    shop.server.wait_for_log("killed by SIGKILL")
    shop.wait_for_responses()
    assert len(shop.imports()) <= 3
    shop.server.wait_for_log("worker replaced")
    (successor,) = set(shop.imports()) - {victim, sibling}
    wait("a response of the new one", lambda: any(successor in one.pids for one in shop.clients))
    shop.close()
    for client in shop.clients:
        assert len(client.failures) <= 1, client.failures
    assert shop.server.stop() == 0


def test_reloads_under_load_lose_no_request(shop: Shop) -> None:
    shop.open()
    for count in range(RELOADS):
        before = shop.imports()
        # The first as it is, the others sooner.
        if count:
            shop.import_takes(0.1)
        shop.reload()
        shop.server.wait_for_log(r"\breloaded\b")
        after = shop.imports()[len(before) :]
        assert len(after) == 2
        shop.wait_for_responses()
    shop.close()
    assert shop.failures() == []
    assert len({pid for client in shop.clients for pid in client.pids}) > RELOADS
    assert shop.server.stop() == 0
    assert "ERROR" not in shop.server.log
    assert "WARN" not in shop.server.log


def test_a_stop_during_a_reload_does_not_wait_for_the_import(shop: Shop) -> None:
    shop.import_takes(3600)
    before = len(shop.imports())
    shop.reload()
    wait("a new worker", lambda: len(shop.imports()) > before)
    assert shop.server.stop() == 0


def test_an_application_that_cannot_be_imported_stops_the_start(
    serve: Callable[..., Served],
) -> None:
    source = "def connect():\n    raise OSError('no database here')\n\nconnect()\n"
    server = serve("app:application", "--workers", "3", source=source, addresses=0)
    assert server.wait() == 1
    assert server.log.count("Traceback (most recent call last)") == 1
    assert server.log.count("OSError: no database here") <= 2
    assert 'app.py", line 2, in connect' in server.log
    assert "listening" not in server.log


def test_an_application_that_cannot_be_imported_any_more_leaves_the_old_workers(shop: Shop) -> None:
    shop.import_takes(0.1)
    shop.open()
    old = set(shop.imports())
    shop.write("app.py", SOURCE + "\n1 / 0\n")
    shop.reload()
    shop.server.wait_for_log("ZeroDivisionError: division by zero")
    shop.wait_for_responses()
    assert {pid for client in shop.clients for pid in client.pids} <= old
    # The next reload works again.
    shop.write("app.py", SOURCE)
    shop.reload()
    shop.server.wait_for_log(r"\breloaded\b")
    new = set(shop.imports()[-2:])
    assert not new & old
    wait("a response of a new one", lambda: any(new & set(one.pids) for one in shop.clients))
    shop.close()
    assert shop.failures() == []
    assert shop.server.stop() == 0
