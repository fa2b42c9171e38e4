"""Whether a worker leaks memory, file descriptors or threads.

The long form, a million requests and ten thousand of each mishap, takes some minutes:
`TOWER_WSGI_STRESS=1 python -m pytest tests/test_stress.py -s`.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from stress.load import AWAITED, Load, difference

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LONG = bool(os.environ.get("TOWER_WSGI_STRESS"))
REQUESTS = 1_000_000 if LONG else 20_000
AWAITED_REQUESTS = 100_000 if LONG else 10_000
MISHAPS = 10_000 if LONG else 300
THREADS = {"pool": 3, "loop": 0}


class Server:
    """A server whose log is a file, so that ten thousand errors do not fill a pipe."""

    def __init__(self, mode: str, folder: Path) -> None:
        self.threads = THREADS[mode]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [
                    *(
                        sys.executable,
                        "-m",
                        "tower_wsgi",
                        "stress.asynchronous",
                        "--bind",
                        "127.0.0.1:0",
                    ),
                    *("--workers", "1", "--thread-workers", str(self.threads)),
                    *("--pythonpath", str(Path(__file__).parent)),
                ],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        deadline = time.monotonic() + 60
        while " ready " not in (text := self.log.read_text()):
            assert self.process.poll() is None, text
            assert time.monotonic() < deadline, text
        host, port = text.partition("address=http://")[2].split()[0].split(":")
        self.load = Load((host, int(port)), folder)
        # The environs remember what they say of the last 256 clients.
        for _ in range(768):
            self.load.ask("/holds")
        # Threads that wait for work at times: the pool's, tokio's own for files, 8 at most, and
        # that of asyncio.
        self.most_threads = self.load.ask("/holds")["threads"] + self.threads + 9

    def end(self) -> None:
        self.process.terminate()
        assert self.process.wait(60) == 0, self.log.read_text()[-3000:]


@pytest.fixture(scope="module", params=THREADS)
def server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    server = Server(request.param, tmp_path_factory.mktemp(request.param))
    yield server
    server.end()


def check(server: Server, what: str, count: int, run: Callable[[int], None]) -> None:
    """Do it ``count`` times; after the first tenth nothing may grow."""
    load = server.load
    load.settle()
    run(count // 10)
    before = load.settle()
    began = time.monotonic()
    run(count - count // 10)
    took = time.monotonic() - began
    after = load.settle()
    grown = difference(before, after)
    print(
        f"\n{what}, {server.threads} threads: {count} times, {(count - count // 10) / took:.0f}/s,",
        f"{before}, then {grown}",
    )
    assert after["threads"] <= server.most_threads, (before, after)
    assert grown["files"] == 0, (before, after)
    # Objects of Python: one for every tenth time would be more.
    assert grown["blocks"] < 200 + count // 10, (before, after)
    # Bytes of Rust and C in use: a buffer or two, kept since they were needed for the first time.
    assert grown["heap"] < 1 << 20, (before, after)
    # What the allocator has taken for them, and has not given back.
    assert grown["resident kB"] < 8 << 10, (before, after)


def test_requests_leak_nothing(server: Server) -> None:
    check(server, "requests of all kinds", REQUESTS, server.load.requests)


def test_applications_that_raise_leak_nothing(server: Server) -> None:
    check(server, "applications that raise", MISHAPS, server.load.failures)


def test_clients_that_leave_a_response_leak_nothing(server: Server) -> None:
    check(server, "clients that leave a response", MISHAPS, server.load.leave_response)


def test_clients_that_leave_an_upload_leak_nothing(server: Server) -> None:
    check(server, "clients that leave an upload", MISHAPS, server.load.leave_upload)


def test_clients_that_leave_the_queue_leak_nothing(server: Server) -> None:
    threads = max(1, server.threads)
    check(
        server,
        "clients that leave the queue",
        MISHAPS,
        lambda count: server.load.leave_queue(count, threads),
    )


def test_asynchronous_requests_leak_nothing(server: Server) -> None:
    def run(count: int) -> None:
        server.load.requests(count, AWAITED)

    check(server, "asynchronous requests of all kinds", AWAITED_REQUESTS, run)


def test_asynchronous_applications_that_raise_leak_nothing(server: Server) -> None:
    def run(count: int) -> None:
        server.load.failures(count, "/awaited-")

    check(server, "asynchronous applications that raise", MISHAPS, run)


def test_clients_that_leave_an_asynchronous_response_leak_nothing(server: Server) -> None:
    def run(count: int) -> None:
        server.load.leave_response(count, "/awaited-endless")

    check(server, "clients that leave an asynchronous response", MISHAPS, run)


def test_clients_that_leave_before_an_asynchronous_response_leak_nothing(server: Server) -> None:
    # The first tenth are more clients than the environs remember.
    check(server, "clients that leave before a response", 10 * MISHAPS, server.load.leave_awaited)
