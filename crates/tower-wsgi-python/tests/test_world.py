"""What an application does to the process that serves it: descriptors, forks, signals."""

from __future__ import annotations

import os
import re
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import requests

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

CLOSES = """
import os, stat

def named(kind):
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink("/proc/self/fd/" + name).startswith(kind):
                yield int(name)
        except OSError:
            pass

def listening():
    inodes = set()
    for line in open("/proc/net/tcp").readlines()[1:]:
        words = line.split()
        if words[3] == "0A":
            inodes.add("socket:[" + words[9] + "]")
    for fd in named("socket:"):
        if os.readlink(f"/proc/self/fd/{fd}") in inodes:
            yield fd

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/listeners":
        for fd in list(listening()):
            os.close(fd)
    elif path == "/wake-up":
        for fd in list(named("anon_inode:[eventfd]")):
            os.close(fd)
    elif path == "/event-loops":
        for fd in list(named("anon_inode:[eventpoll]")):
            os.close(fd)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("what", ["listeners", "wake-up", "event-loops"])
def test_a_worker_whose_descriptors_are_closed_is_replaced(
    serve: Callable[..., Served], what: str
) -> None:
    served = serve("app:application", "--workers", "1", source=CLOSES)
    pid = requests.get(served.url, timeout=60).text
    with suppress(requests.ConnectionError):
        requests.get(f"{served.url}/{what}", timeout=60)
    pids = set()
    for _ in range(600):
        try:
            pids.add(requests.get(served.url, timeout=60).text)
        except requests.ConnectionError:
            continue
        if pids - {pid}:
            break
    assert pids - {pid}, served.log
    assert re.search(
        "cannot accept connections any more|its event loop has failed|worker died", served.log
    )
    assert served.stop() == 0


FORKS = """
import os, time

def application(environ, start_response):
    child = os.fork()
    if child == 0:
        # The pipes of the test are not to be held.
        null = os.open(os.devnull, os.O_RDWR)
        for fd in (0, 1, 2):
            os.dup2(null, fd)
        time.sleep(120)
        os._exit(0)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(child).encode()]
"""


def test_a_forked_child_does_not_keep_the_address(
    serve: Callable[..., Served], start: Callable[..., Served]
) -> None:
    served = serve("app:application", "--workers", "2", source=FORKS)
    child = int(requests.get(served.url, timeout=60).text)
    address = served.url.removeprefix("http://")
    try:
        assert served.stop() == 0
        os.kill(child, 0)
        again = start(sys.executable, "-m", "tower_wsgi", "app:application", "--bind", address)
        assert address in again.url
        assert again.stop() == 0
    finally:
        os.kill(child, signal.SIGKILL)


SIGNALS = """
import os, signal

def name(number):
    return getattr(signal.getsignal(number), "name", str(signal.getsignal(number)))

seen = [name(n) for n in (signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO)]
fired = []
signal.signal(signal.SIGVTALRM, lambda number, frame: fired.append(number))

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {' '.join(seen)} {len(fired)}".encode()]
"""


def test_an_application_sees_and_sets_signals_as_elsewhere(serve: Callable[..., Served]) -> None:
    served = serve("app:application", "--workers", "1", source=SIGNALS)
    pid, *seen, fired = requests.get(served.url, timeout=60).text.split()
    assert (seen, fired) == (["SIG_DFL"] * 4, "0")
    os.kill(int(pid), signal.SIGVTALRM)
    os.kill(int(pid), signal.SIGALRM)
    served.wait_for_log('unexpected signal ignored.*"SIGALRM"')
    assert requests.get(served.url, timeout=60).text.startswith(pid), served.log
    assert "SIGVTALRM" not in served.log
