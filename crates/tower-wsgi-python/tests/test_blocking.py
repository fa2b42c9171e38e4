"""Applications that wait or compute: what others notice of it."""

from __future__ import annotations

import http.client
import statistics
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from suites.sources import TARGET, WORKSPACE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Served

PATIENCE = 60.0

# The machine may have a bad moment, so the best of these counts: what the server cannot do, it
# does in none.
ROUNDS = 8

SLEEPING = """
import time

def application(environ, start_response):
    time.sleep(0.1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"slept"]
"""


class Load:
    """Clients that send one request after the other until they are told to stop."""

    def __init__(self, url: str, path: str, clients: int) -> None:
        self.answers = 0
        self._address = urlsplit(url)
        self._path = path
        self._failures: list[object] = []
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._run) for _ in range(clients)]

    def _run(self) -> None:
        assert self._address.hostname
        connection = http.client.HTTPConnection(
            self._address.hostname, self._address.port, timeout=PATIENCE
        )
        try:
            while not self._stop.is_set():
                connection.request("GET", self._path)
                response = connection.getresponse()
                response.read()
                assert response.status == 200
                with self._lock:
                    self.answers += 1
        except Exception as error:  # noqa: BLE001 -- it is told at the end
            self._failures.append(error)
        finally:
            connection.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        # Until all are busy.
        deadline = time.monotonic() + PATIENCE
        while self.answers < len(self._threads) and not self._failures:
            assert time.monotonic() < deadline
            self._stop.wait(0.01)
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(PATIENCE)
        assert not self._failures


@contextmanager
def sleeping_threads(count: int) -> Iterator[Callable[[], int]]:
    """Threads that only sleep 100 ms, over and over; gives a function that counts how often."""
    stop = threading.Event()
    times = [0] * count

    def sleep(index: int) -> None:
        while not stop.is_set():
            time.sleep(0.1)
            times[index] += 1

    threads = [threading.Thread(target=sleep, args=[index]) for index in range(count)]
    for thread in threads:
        thread.start()
    yield lambda: sum(times)
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)


def test_ten_threads_that_sleep_100_ms_answer_95_requests_a_second(
    serve: Callable[..., Served],
) -> None:
    """That is what bare threads can do: on an idle machine they sleep 100 times a second."""
    server = serve("app:application", "-w", "1", "--thread-workers", "10", source=SLEEPING)
    rounds = []
    with Load(server.url, "/", clients=20) as load, sleeping_threads(10) as sleeps:
        for _ in range(ROUNDS):
            answers, slept = load.answers, sleeps()
            time.sleep(2)
            rounds.append((load.answers - answers, sleeps() - slept))
            if rounds[-1][0] >= 0.95 * rounds[-1][1]:
                return
    raise AssertionError(f"requests answered, and what as many bare threads did: {rounds}")


def test_a_request_that_computes_does_not_delay_a_rust_route(
    start: Callable[..., Served],
) -> None:
    """The 60 ms are the issue's: a tenth of what waiting for ten such requests would take."""
    program = TARGET / "debug" / "flask-in-axum"
    assert program.exists(), f"{program} is missing: run `cargo build --package flask-in-axum`"
    server = start(
        program,
        *("--bind", "127.0.0.1:0", "--workers", "1", "--thread-workers", "10"),
        env={"VIRTUAL_ENV": sys.prefix},
        cwd=WORKSPACE / "examples/flask-in-axum",
    )
    address = urlsplit(server.url)
    assert address.hostname
    client = http.client.HTTPConnection(address.hostname, address.port, timeout=PATIENCE)

    def delays() -> list[float]:
        """How long `/health` takes, again and again for a second."""
        delays = []
        end = time.perf_counter() + 1
        while (begin := time.perf_counter()) < end:
            client.request("GET", "/health")
            assert client.getresponse().read() == b"ok"
            delays.append(time.perf_counter() - begin)
        return delays

    rounds = []
    for _ in range(ROUNDS):
        idle = statistics.median(delays())
        with Load(server.url, "/compute?ms=50", clients=10) as load:
            before = load.answers
            longest = max(delays())
            assert load.answers > before
        rounds.append(longest - idle)
        if rounds[-1] <= 0.06:
            break
    client.close()
    assert min(rounds) <= 0.06, rounds
