"""Many sockets with events, and many messages: what they hold, and whether anything leaks.

The long form, 10 000 sockets and a million messages, takes some minutes:
`TOWER_WSGI_STRESS=1 python -m pytest tests/test_ws_load.py -s`.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from conftest import PATIENCE
from processes import memory, wait_until, workers
from ws_client import BINARY, CLOSE, TEXT, RawClient, close_payload, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Served

LONG = bool(os.environ.get("TOWER_WSGI_STRESS"))
SOCKETS = 10_000 if LONG else 1000
MESSAGES = 1_000_000 if LONG else 20_000
MISHAPS = 10_000 if LONG else 300


@pytest.fixture(autouse=True, scope="module")
def _many_files() -> Iterator[None]:
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = 2 * SOCKETS + 500
    if limits[1] < needed:
        pytest.skip(f"this needs {needed} open files, and the limit is {limits[1]}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(limits[0], needed), limits[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def serve(start: Callable[..., Served], count: int) -> Served:
    return start(
        *(sys.executable, "-m", "tower_wsgi", "ws_application"),
        *("--pythonpath", Path(__file__).parent, "--bind", "127.0.0.1:0"),
        *("--workers", str(count), "--thread-workers", "3"),
        # The clients do not reply to pings, and the long form takes longer than the default.
        *("--upgrade-idle-timeout", "1h"),
        *("--max-upgraded", str(SOCKETS + 100), "--max-connections", str(SOCKETS + 200)),
    )


def ask(server: Served, path: str) -> Any:
    return requests.get(server.url + path, timeout=PATIENCE).json()


@contextlib.contextmanager
def sockets(server: Served, path: str, count: int) -> Iterator[list[RawClient]]:
    clients: list[RawClient] = []
    try:
        for _ in range(count):
            clients.append(RawClient(server.url, path))
            assert clients[-1].status == 101
        yield clients
    finally:
        for client in clients:
            client.close()


def threads(process: int) -> int:
    return len(list(Path(f"/proc/{process}/task").iterdir()))


def test_idle_sockets_hold_little_memory_and_no_thread(start: Callable[..., Served]) -> None:
    server = serve(start, 2)
    processes = workers(server)
    with sockets(server, "/quiet", 50):
        pass
    before = [(memory(process), threads(process)) for process in processes]
    with sockets(server, "/quiet", SOCKETS) as clients:
        for client in (clients[0], clients[-1]):
            client.send(frame(TEXT, b"it is read"))
        after = [(memory(process), threads(process)) for process in processes]
        grown = sum(now[0] - then[0] for now, then in zip(after, before, strict=True))
        print(f"\n{SOCKETS} sockets: {grown / SOCKETS / 1024:.1f} KiB each, {before}, {after}")
        # And what the allocator takes at once.
        assert grown < SOCKETS * (20 << 10) + (8 << 20)
        # Those of the pools for the handshakes, which do not wait.
        assert all(now[1] <= then[1] + 8 for now, then in zip(after, before, strict=True))


def test_a_broadcast_reaches_all_sockets_of_a_worker(start: Callable[..., Served]) -> None:
    server = serve(start, 1)
    with sockets(server, "/quiet", 1000) as clients:
        wait_until(lambda: ask(server, "/state")["open"] == 1000)
        since = time.monotonic()
        assert ask(server, "/publish?news") == 1000
        assert all(client.receive() == (TEXT, b"news") for client in clients)
        print(f"\na broadcast to 1000: {time.monotonic() - since:.3f} s")


def test_at_a_reload_each_socket_is_closed_with_1001_and_new_ones_open(
    start: Callable[..., Served],
) -> None:
    server = serve(start, 2)
    before = set(workers(server))
    with sockets(server, "/quiet", 1000) as clients:
        server.process.send_signal(signal.SIGHUP)
        while before & set(workers(server)):
            with RawClient(server.url, "/echo") as client:
                assert client.status == 101
                client.send(frame(TEXT, b"new"))
                received = client.receive()
                # It may have reached a worker that is about to be replaced.
                assert received in [(TEXT, b"new"), (CLOSE, close_payload(1001))]
            for client in clients:
                if client.socket.fileno() == -1:
                    continue
                client.socket.settimeout(0)
                with contextlib.suppress(BlockingIOError):
                    if client.socket.recv(1, 2):  # MSG_PEEK
                        client.socket.settimeout(PATIENCE)
                        assert client.receive_close()[0] == 1001
                        client.send(frame(CLOSE, close_payload(1001)))
                        assert client.is_ended()
                        client.close()
        assert all(client.socket.fileno() == -1 for client in clients)
        assert ask(server, "/state")["open"] == 0


def messages(server: Served, count: int) -> None:
    """Have messages of three sizes echoed, many at a time."""
    with sockets(server, "/echo", 4) as clients:
        batch = (frame(TEXT, b"x" * 100) + frame(BINARY, b"y" * 5000) + frame(TEXT, b"")) * 20
        for _ in range(count // (60 * len(clients))):
            for client in clients:
                client.send(batch)
            for client in clients:
                for _ in range(20):
                    assert client.receive() == (TEXT, b"x" * 100)
                    assert client.receive()[0] == BINARY
                    assert client.receive() == (TEXT, b"")


def closes(server: Served, count: int) -> None:
    for _ in range(count):
        with RawClient(server.url, "/quiet") as client:
            client.send(frame(CLOSE, close_payload(1000)))
            assert client.receive_close() == (1000, "")


def resets(server: Served, count: int) -> None:
    for _ in range(count):
        with RawClient(server.url, "/quiet") as client:
            client.send(frame(TEXT, b"half a message")[:7])


def failures(server: Served, count: int) -> None:
    for _ in range(count):
        with RawClient(server.url, "/fails") as client:
            assert client.receive_close()[0] == 1011


def violations(server: Served, count: int) -> None:
    for _ in range(count):
        with RawClient(server.url, "/small") as client:
            client.send(frame(TEXT, b"x" * 1001))
            assert client.receive_close()[0] == 1009


def broadcasts(server: Served, count: int) -> None:
    with sockets(server, "/quiet", 20) as clients:
        wait_until(lambda: ask(server, "/state")["open"] >= 20)
        for _ in range(count // 20):
            assert ask(server, "/publish?" + "x" * 1000) >= 20
            for client in clients:
                client.receive()


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., Served]) -> Served:
    return serve(start_for_module, 1)


@pytest.mark.parametrize(
    ("run", "count"),
    [
        (messages, MESSAGES),
        (broadcasts, MESSAGES),
        (closes, MISHAPS),
        (resets, MISHAPS),
        (failures, MISHAPS),
        (violations, MISHAPS),
    ],
)
def test_nothing_leaks(server: Served, run: Callable[[Served, int], None], count: int) -> None:
    (process,) = workers(server)

    def settle() -> tuple[int, int, int]:
        ask(server, "/forget")
        wait_until(lambda: ask(server, "/state")["open"] == 0)
        files = len(list(Path(f"/proc/{process}/fd").iterdir()))
        return ask(server, "/state")["blocks"], memory(process), files

    run(server, count // 10)
    before = settle()
    since = time.monotonic()
    run(server, count - count // 10)
    took = time.monotonic() - since
    wait_until(lambda: settle()[2] <= before[2])
    after = settle()
    print(f"\n{run.__name__}: {count - count // 10} in {took:.1f} s, {before}, {after}")
    assert after[0] - before[0] < 200 + count // 10
    assert after[1] - before[1] < 8 << 20
