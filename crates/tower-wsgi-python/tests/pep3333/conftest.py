"""The servers of these tests: one on a pool of threads, one on the event loop."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import Served

from pep3333.client import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pep3333.client import Response

MODES = {"pool": "3", "one thread": "1", "loop": "0"}
TESTS = Path(__file__).parents[1]
_keys = itertools.count(1)


class Gate:
    """Where an application waits, until a test lets it through."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = path
        self._end = os.open(path, os.O_RDWR | os.O_NONBLOCK)

    @property
    def header(self) -> tuple[str, str]:
        return ("X-Gate", str(self.path))

    def open(self) -> None:
        """Let one through."""
        os.write(self._end, b"!")

    def close(self) -> None:
        os.close(self._end)


class Site:
    """A server, and how to talk to it."""

    def __init__(self, mode: str, served: Served, folder: Path) -> None:
        self.mode = mode
        self.served = served
        self.folder = folder
        host, _, port = served.url.removeprefix("http://").rpartition(":")
        self.address = (host, int(port))
        self.validated = False
        self.key = ""
        self._gates: list[Gate] = []

    @property
    def headers(self) -> list[tuple[str, str]]:
        """What the applications look at."""
        return [("X-Key", self.key), *([("X-Validate", "1")] if self.validated else [])]

    def connect(self) -> Connection:
        return Connection(self.address)

    def request(
        self, connection: Connection, target: str, method: str = "GET", **more: Any
    ) -> None:
        """Send a request for one of the applications."""
        headers = [*self.headers, *more.pop("headers", ())]
        connection.request(target, method, headers=headers, **more)

    def get(self, target: str, method: str = "GET", **more: Any) -> Response:
        """One exchange, and another on the same connection, which must be in order after it."""
        with self.connect() as connection:
            self.request(connection, target, method, **more)
            response = connection.response(method)
            if more.get("version") != "1.0" and response.get(b"connection") != b"close":
                self.request(connection, "/hello")
                again = connection.response()
                assert (again.code, again.body) == (200, b"hello")
                assert connection.is_silent()
            return response

    def gate(self) -> Gate:
        gate = Gate(self.folder / f"gate-{next(_keys)}")
        self._gates.append(gate)
        return gate

    def events(self, until: str, count: int = 1) -> list[str]:
        """The records of the applications in this test, once ``until`` is there ``count`` times."""
        while (events := self._events()).count(until) < count:
            self.served.wait_for_log(f"^EVENT {self.key} {re.escape(until)}$")
        return events

    def log(self, pattern: str) -> str:
        """The log of this test, once it has a line with this."""
        begin = f"BEGIN {self.key}\n"
        while begin not in self.served.log:
            self.served.wait_for_log(begin.strip())
        while not re.search(pattern, log := self.served.log.rpartition(begin)[2], re.MULTILINE):
            self.served.wait_for_log(pattern)
        return log

    def begin(self, *, validated: bool) -> None:
        """A test begins."""
        self.key = f"key-{next(_keys)}"
        self.validated = validated
        with self.connect() as connection:
            self.request(connection, "/begin")
            assert connection.response().code == 200
        self.log("")

    def finish(self) -> None:
        """A test has ended."""
        for gate in self._gates:
            gate.close()
        self._gates.clear()

    def _events(self) -> list[str]:
        return re.findall(rf"^EVENT {self.key} (.*)$", self.served.log, re.MULTILINE)


def start(mode: str, folder: Path, *options: str) -> Site:
    """Start a server of the applications."""
    command = [sys.executable, "-m", "tower_wsgi", "pep3333.applications", "--bind", "127.0.0.1:0"]
    process = subprocess.Popen(
        [
            *command,
            "--workers",
            "1",
            "--thread-workers",
            MODES[mode],
            # Otherwise a WebSocket request is on another thread.
            *([] if mode == "pool" else ["--websocket-threads", "0"]),
            "--pythonpath",
            str(TESTS),
            *options,
        ],
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    served = Served(process)
    try:
        served.wait_until_ready(1)
    except AssertionError:
        served.end()
        raise
    return Site(mode, served, folder)


@pytest.fixture(scope="session", params=["pool", "loop"])
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Site]:
    """A server, in each mode."""
    site = start(request.param, tmp_path_factory.mktemp(request.param), "--graceful-timeout", "5")
    try:
        yield site
        code = site.served.stop()
    finally:
        site.served.end()
    assert code == 0, site.served.log
    # In each test, every object with a `close` was closed once.
    made = Counter(re.findall(r"^EVENT (\S+ made \S+)$", site.served.log, re.MULTILINE))
    closed = Counter(re.findall(r"^EVENT (\S+) close (\S+)$", site.served.log, re.MULTILINE))
    assert {f"{key} made {number}": count for (key, number), count in closed.items()} == made


@pytest.fixture(scope="session")
def strict_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that requires its applications to follow PEP 3333 exactly."""
    site = start("pool", tmp_path_factory.mktemp("strict"), "--strict")
    yield site
    site.served.end()


def _site(server: Site, request: pytest.FixtureRequest, *, validated: bool) -> Iterator[Site]:
    server.begin(validated=validated)
    yield server
    server.finish()
    if getattr(request.node, "failed", False):
        print(
            f"\n--- the server, {server.mode}\n{server.served.log.rpartition(f'BEGIN {server.key}')[2]}"
        )


@pytest.fixture(params=["plain", "validated"])
def site(server: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """For valid applications: served as they are, and inside the validator."""
    yield from _site(server, request, validated=request.param == "validated")


@pytest.fixture
def strict(strict_server: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """For what only `--strict` refuses."""
    yield from _site(strict_server, request, validated=False)


@pytest.fixture
def bare(server: Site, request: pytest.FixtureRequest) -> Iterator[Site]:
    """For applications that the validator would refuse, or does not like to read as these do."""
    yield from _site(server, request, validated=False)
