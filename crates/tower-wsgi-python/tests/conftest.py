"""The harness: serve an application in processes of its own, and call one in this process."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.validate import validator

import pytest
import requests
from notes import (  # noqa: F401  (these are pytest's hooks)
    pytest_collectreport,
    pytest_runtest_logreport,
    pytest_sessionfinish,
    see_skip,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping
    from pathlib import Path

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

    Start = Callable[..., "Served"]

# For what needs no time to speak of on an idle machine; it may be a very busy one.
PATIENCE = 60.0


class Served:
    """A server that runs, and its log."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.urls: list[str] = []
        self._log: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue(maxsize=100_000)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        """The only address, as in ``http://127.0.0.1:1234``."""
        (url,) = self.urls
        return url

    @property
    def log(self) -> str:
        """What the server has written to standard error and output so far."""
        return "".join(self._log)

    def wait_for_log(self, pattern: str, count: int = 1) -> list[str]:
        """Wait until ``count`` more lines match, and give them."""
        found: list[str] = []
        deadline = time.monotonic() + PATIENCE
        while len(found) < count:
            try:
                line = self._lines.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"no line with {pattern!r} came:\n{self.log}") from None
            if line is None:
                raise AssertionError(f"it ended without a line with {pattern!r}:\n{self.log}")
            if re.search(pattern, line):
                found.append(line)
        return found

    def wait_until_ready(self, addresses: int) -> None:
        """Wait for the addresses, and until a worker serves each."""
        ready = 0
        while len(self.urls) < addresses or ready < addresses:
            (line,) = self.wait_for_log(r"listening|\bready\b")
            if address := re.search(r'\baddress"?[=:]"?([^\s",]+)', line):
                self.urls.append(address[1])
            elif "ready" in line:
                ready += 1

    def stop(self, sig: int = signal.SIGTERM) -> int:
        """Stop it as an operator does; gives the exit code."""
        self.process.send_signal(sig)
        return self.wait()

    def wait(self) -> int:
        """Wait for its end, and for the last line of its log."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def end(self) -> None:
        """End it for sure. Its workers follow, because they notice that it is gone."""
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(PATIENCE)
        # The log ends with the last process that writes to it.
        self._reader.join(PATIENCE)
        assert not self._reader.is_alive(), f"a worker outlives its supervisor:\n{self.log}"
        assert self.process.stdout is not None
        self.process.stdout.close()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            line = re.sub(r"\x1b\[[0-9;]*m", "", line)
            self._log.append(line)
            self._lines.put(line)
        self._lines.put(None)


@contextmanager
def starting(node: pytest.Item | pytest.Collector, directory: Path) -> Iterator[Start]:
    """Let ``node`` start programs, and end them afterwards."""
    started: list[Served] = []

    def start(
        *command: str | Path,
        addresses: int = 1,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Served:
        process = subprocess.Popen(
            [str(word) for word in command],
            env={**os.environ, "PYTHONUNBUFFERED": "1", **(env or {})},
            cwd=cwd or directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        served = Served(process)
        started.append(served)
        if addresses:
            served.wait_until_ready(addresses)
        return served

    yield start
    for served in started:
        served.end()
    if getattr(node, "failed", False):
        for served in started:
            print(f"\n--- {served.process.args}\n{served.log}")


@pytest.fixture
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Start a program that serves: ``start(*command, addresses=1, env=…, cwd=…)``.

    The program has to take a free port (``--bind 127.0.0.1:0``). With ``addresses=0`` nothing is
    waited for. When the test fails, the logs are part of its report.
    """
    with starting(request.node, tmp_path) as start:
        yield start


@pytest.fixture(scope="module")
def start_for_module(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Start]:
    """Start a program as `start` does, for all tests of the module."""
    with starting(request.node, tmp_path_factory.mktemp("module")) as start:
        yield start


@pytest.fixture
def serve(start: Callable[..., Served], tmp_path: Path) -> Callable[..., Served]:
    """Serve an application by the command: ``serve("module:application", "--workers", "1")``.

    ``serve(source=…)`` writes ``source`` to a module first and serves its ``application``.
    """

    def serve(
        application: str = "app:application",
        *options: str,
        source: str | None = None,
        addresses: int = 1,
        env: Mapping[str, str] | None = None,
    ) -> Served:
        if source is not None:
            (tmp_path / "app.py").write_text(source)
        command = [sys.executable, "-m", "tower_wsgi", application, "--bind", "127.0.0.1:0"]
        return start(*command, *options, addresses=addresses, env=env)

    return serve


class Client(requests.Session):
    """A client that keeps its connections and cookies, and does not wait for ever."""

    def request(self, *args: Any, **kwargs: Any) -> requests.Response:
        """Send a request, and wait for the response."""
        return super().request(*args, **{"timeout": PATIENCE, **kwargs})


@pytest.fixture
def client() -> Iterator[Client]:
    """A client with connections and cookies of its own."""
    with Client() as client:
        yield client


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Tell the fixtures of a test, and of its module, that it has failed."""
    report = yield
    see_skip(report)
    if report.when == "call" and report.failed:
        for node in item.listchain():
            node.failed = True  # type: ignore[attr-defined]
    return report


class Response:
    """The response of a WSGI application."""

    def __init__(self) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.chunks: list[bytes] = []

    @property
    def code(self) -> int:
        """The status as a number."""
        return int(self.status[:3])


def call(application: WSGIApplication, environ: WSGIEnvironment) -> Response:
    """Call ``application`` as a server that obeys PEP 3333 does, and see that it obeys, too."""
    response = Response()

    def send(data: bytes) -> None:
        assert response.status, "the body came before the response was started"
        if data:
            response.chunks.append(data)

    def start_response(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info is not None:
            if response.chunks:
                raise exc_info[1]
        else:
            assert not response.status, "start_response was called twice"
        response.status = status
        response.headers = {}
        for name, value in headers:
            key = name.lower()
            response.headers[key] = ", ".join(filter(None, [response.headers.get(key), value]))
        return send

    result: Iterable[bytes] = validator(application)({**environ}, start_response)
    try:
        for chunk in result:
            send(chunk)
    finally:
        result.close()  # type: ignore[attr-defined]
    response.body = b"".join(response.chunks)
    return response
