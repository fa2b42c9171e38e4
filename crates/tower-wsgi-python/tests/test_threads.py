"""The threads that call an application: what they keep, and how they end."""

from __future__ import annotations

import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import sys
import threading
from ast import literal_eval
from collections import defaultdict
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from conftest import PATIENCE
from processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Served

LOCAL = """
import threading

local = threading.local()

def application(environ, start_response):
    local.calls = getattr(local, "calls", 0) + 1
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/file":
        # Files are read on threads, too; these must not be mixed up with the application's.
        return environ["wsgi.file_wrapper"](open(__file__, "rb"))
    return [f"{threading.get_ident()} {local.calls}".encode()]
"""


def get(url: str) -> bytes:
    with urlopen(url, timeout=PATIENCE) as response:
        body: bytes = response.read()
        return body


@pytest.mark.parametrize("threads", [0, 1, 3])
def test_what_a_thread_keeps_is_there_at_its_next_request(
    serve: Callable[..., Served], threads: int
) -> None:
    url = serve(
        "app:application", "--workers", "1", "--thread-workers", str(threads), source=LOCAL
    ).url
    seen: defaultdict[str, list[int]] = defaultdict(list)
    lock = threading.Lock()

    def client() -> None:
        for number in range(40):
            get(f"{url}/file")
            ident, calls = get(f"{url}/{number}").split()
            with lock:
                seen[ident.decode()].append(int(calls))

    clients = [threading.Thread(target=client) for _ in range(5)]
    for thread in clients:
        thread.start()
    for thread in clients:
        thread.join()
    assert 1 <= len(seen) <= max(1, threads)
    # Each thread has counted on, all the time: no count comes twice.
    for calls in seen.values():
        assert len(set(calls)) == len(calls)
    # All the calls, those for files too.
    assert sum(max(calls) for calls in seen.values()) <= 5 * 40 * 2
    assert sum(len(calls) for calls in seen.values()) == 5 * 40
    assert sum(max(calls) for calls in seen.values()) >= 5 * 40


ENDING = """
import atexit
import os
import sys
import threading
import time
import weakref

PATH = os.environ["RECORD"]

def tell(text):
    with open(PATH, "a") as file:
        file.write(f"{os.getpid()} {text}\\n")

class Kept:
    pass

local = threading.local()
atexit.register(tell, "atexit")
atexit.register(lambda: tell(f"threads {threading.active_count()}"))

def work():
    # No daemon: Python waits for it.
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    tell("worked")

def application(environ, start_response):
    if not hasattr(local, "kept"):
        local.kept = Kept()
        weakref.finalize(local.kept, tell, "local").atexit = False
    if environ["PATH_INFO"] == "/daemon":
        threading.Thread(target=threading.Event().wait, daemon=True).start()
    if environ["PATH_INFO"] == "/thread":
        threading.Thread(target=work).start()
    if environ["PATH_INFO"] == "/exit":
        sys.exit(7)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize("path", ["/", "/daemon", "/thread", "/exit"])
@pytest.mark.parametrize("threads", [0, 3])
def test_a_worker_ends_in_order(tmp_path: Path, threads: int, path: str) -> None:
    (tmp_path / "app.py").write_text(ENDING)
    record = tmp_path / "record"
    process = subprocess.Popen(
        [
            *(
                sys.executable,
                "-X",
                "faulthandler",
                "-m",
                "tower_wsgi",
                "app:application",
                "--bind",
                "127.0.0.1:0",
            ),
            *("--workers", "2", "--thread-workers", str(threads), "--graceful-timeout", "20"),
        ],
        env={**os.environ, "RECORD": str(record), "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        lines = []
        for line in process.stdout:
            lines.append(line)
            if " ready " in line:
                break
        address = re.search(r"http://([\d.]+):(\d+)", "".join(lines))
        assert address, lines
        workers = set()
        for _ in range(50):
            with socket.create_connection((address[1], int(address[2])), PATIENCE) as client:
                client.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                response = b""
                while data := client.recv(65536):
                    response += data
            if path == "/exit":
                assert response.startswith(b"HTTP/1.0 500 ")
            else:
                workers.add(int(response.rpartition(b"\r\n")[2]))
        process.send_signal(signal.SIGTERM)
        rest, _ = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
        process.wait()
    log = "".join(lines) + rest
    assert process.returncode == 0, log
    # Nothing but log lines, and the tracebacks of the one that exits.
    other = [line for line in log.splitlines() if line and not re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert not other or path == "/exit", log
    assert not re.search(r"Fatal Python error|panicked|SIG[A-Z]+|core dumped|killed", log), log
    events = [line.split(" ", 1) for line in record.read_text().splitlines()]
    exits = [int(process) for process, event in events if event == "atexit"]
    # Each worker, once; the supervisor has no application.
    assert len(exits) == len(set(exits)) == 2
    assert workers <= set(exits)
    assert process.pid not in exits
    for worker in workers if path == "/thread" else ():
        # What threads of the application's still do is done before the exit functions run.
        mine = [event for process, event in events if int(process) == worker]
        assert "worked" in mine, (mine, log)
        assert mine.index("worked") < mine.index("atexit"), mine
    if threads and path == "/":
        # What a thread of the pool has kept is gone before the exit functions run.
        for worker in workers:
            mine = [event for process, event in events if int(process) == worker]
            assert "local" in mine, mine
            assert mine.index("local") < mine.index("atexit"), mine


POLICIES = """
import os
import subprocess
import sys
import threading

ASK = "import os; print(os.sched_getscheduler(0))"

def in_fork():
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, str(os.sched_getscheduler(0)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writer)
    with open(reader) as pipe:
        return int(pipe.read())

def in_thread():
    policies = []
    thread = threading.Thread(target=lambda: policies.append(os.sched_getscheduler(0)))
    thread.start()
    thread.join()
    return policies[0]

def in_shell():
    with os.popen(f"{sys.executable} -c '{ASK}'") as pipe:
        return int(pipe.read())

STARTS = {
    "/run": lambda: int(subprocess.check_output([sys.executable, "-c", ASK])),
    "/fork": in_fork,
    "/shell": in_shell,
    "/thread": in_thread,
}

def application(environ, start_response):
    policies = [os.sched_getscheduler(0), os.sched_getscheduler(os.getpid())]
    if environ["PATH_INFO"] in STARTS:
        policies = [STARTS[environ["PATH_INFO"]]()]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [" ".join(map(str, policies)).encode()]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these policies")
@pytest.mark.parametrize("threads", [0, 2])
def test_threads_of_the_pool_leave_the_core_to_the_event_loop(
    serve: Callable[..., Served], threads: int
) -> None:
    options = ["--workers", "1", "--thread-workers", str(threads)]
    url = serve("app:application", *options, source=POLICIES).url
    here, main_thread = get(url).split()
    assert int(here) == (os.SCHED_BATCH if threads else os.SCHED_OTHER)
    assert int(main_thread) == os.SCHED_OTHER


@pytest.mark.skipif(sys.platform != "linux", reason="Linux has these policies")
def test_what_the_application_starts_competes_as_others_do(serve: Callable[..., Served]) -> None:
    options = ["--workers", "1", "--thread-workers", "1"]
    url = serve("app:application", *options, source=POLICIES).url
    # Python tells when it starts a thread from 3.12 on.
    for path in ("run", "fork", "shell", *(["thread"] if sys.version_info >= (3, 12) else [])):
        assert int(get(f"{url}/{path}")) == os.SCHED_OTHER
        # The thread is what it was as soon as it has let others have the interpreter.
        wait_until(lambda: int(get(url).split()[0]) == os.SCHED_BATCH)


THREADS = """
import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor, thread as executor

traced = threading.local()
release = threading.Event()

def trace(frame, event, argument):
    traced.calls = getattr(traced, "calls", 0) + 1

threading.setprofile(trace)

def tell(text):
    with open(os.environ["RECORD"], "a") as file:
        file.write(f"{text}\\n")

def work():
    # Until the process ends; otherwise it would continue forever.
    while threading.main_thread().is_alive():
        time.sleep(0.01)
    tell("worked")

def work_in_executor():
    # These are asked to end before the others.
    while not executor._shutdown:
        time.sleep(0.01)
    tell("worked")

def application(environ, start_response):
    path = environ["PATH_INFO"]
    here = threading.current_thread()
    child = threading.Thread(target=work, name="mailer")
    names = [here.name, here.daemon, child.daemon, getattr(traced, "calls", 0) > 0]
    if path == "/thread":
        child.start()
    elif path == "/executor":
        ThreadPoolExecutor(1, "mailer").submit(work_in_executor)
    elif path == "/stubborn":
        threading.Thread(target=release.wait, name="stubborn").start()
        # A daemon is neither waited for nor reported.
        threading.Thread(target=release.wait, name="daemon", daemon=True).start()
    elif path == "/executor-stubborn":
        ThreadPoolExecutor(1, "stubborn").submit(release.wait)
    elif path == "/names":
        names = sorted(thread.name for thread in threading.enumerate())
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(names).encode()]

import atexit
atexit.register(tell, "atexit")
"""


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    path = tmp_path / "record"
    path.touch()
    monkeypatch.setenv("RECORD", str(path))
    return lambda: path.read_text().split()


@pytest.mark.parametrize(("threads", "name"), [(0, "server"), (2, r"worker-thread-[12]")])
def test_the_servers_threads_are_threads_of_python(
    serve: Callable[..., Served], recorded: Callable[[], list[str]], threads: int, name: str
) -> None:
    options = ["--workers", "1", "--thread-workers", str(threads)]
    server = serve("app:application", *options, source=THREADS)
    here, is_daemon, has_daemons, is_traced = literal_eval(get(server.url).decode())
    assert re.fullmatch(name, here)
    assert (is_daemon, has_daemons, is_traced) == (False, False, True)
    # Each is there once, and none that Python has made up.
    names = literal_eval(get(f"{server.url}/names").decode())
    assert len(set(names)) == len(names)
    assert not [name for name in names if "Dummy" in name]


@pytest.mark.parametrize("path", ["thread", "executor"])
@pytest.mark.parametrize("way", ["stop", "reload", "recycling", "alone"])
def test_threads_of_the_application_finish_before_their_process(
    serve: Callable[..., Served], recorded: Callable[[], list[str]], way: str, path: str
) -> None:
    options = ["--workers", "0" if way == "alone" else "1"]
    if way == "recycling":
        options += ["--max-requests", "1"]
    server = serve("app:application", *options, source=THREADS)
    get(f"{server.url}/{path}")
    if way == "reload":
        server.process.send_signal(signal.SIGHUP)
    if way in ("reload", "recycling"):
        wait_until(lambda: "atexit" in recorded())
        assert recorded() == ["worked", "atexit"]
    assert server.stop() == 0
    assert recorded()[:2] == ["worked", "atexit"]
    assert "still running at the shutdown deadline" not in server.log


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("path", ["stubborn", "executor-stubborn"])
def test_threads_that_do_not_end_are_named_at_the_deadline(
    serve: Callable[..., Served], recorded: Callable[[], list[str]], path: str, count: int
) -> None:
    options = ["--workers", str(count), "--graceful-timeout", "1"]
    server = serve("app:application", *options, source=THREADS)
    get(f"{server.url}/{path}")
    assert server.stop() == 0
    (line,) = [
        line for line in server.log.splitlines() if "still running at the shutdown deadline" in line
    ]
    assert re.search('threads="stubborn(_0)?"', line)
    # Exit functions run all the same, and nothing has killed it.
    assert recorded() == ["atexit"]
    assert not re.search(r"Traceback|Exception|stuck|killed|_Overdue", server.log)


def test_a_start_that_fails_does_not_wait_for_threads(
    serve: Callable[..., Served], recorded: Callable[[], list[str]]
) -> None:
    source = "import threading\nthreading.Thread(target=threading.Event().wait).start()\n1 / 0\n"
    for count in ("0", "1"):
        server = serve("app:application", "--workers", count, source=source, addresses=0)
        assert server.wait() == 1
        assert "ZeroDivisionError" in server.log


PATCHED = """
{patch}

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""


@pytest.mark.parametrize(
    ("patch", "call", "count"),
    [
        ("from gevent import monkey; monkey.patch_all()", "gevent.monkey.patch_all", "0"),
        ("from gevent import monkey; monkey.patch_all()", "gevent.monkey.patch_all", "1"),
        ("import eventlet; eventlet.monkey_patch()", "eventlet.monkey_patch", "1"),
    ],
)
@pytest.mark.filterwarnings("ignore")
def test_an_application_of_greenlets_is_refused(
    serve: Callable[..., Served], patch: str, call: str, count: str
) -> None:
    source = PATCHED.format(patch=patch)
    server = serve("app:application", "--workers", count, source=source, addresses=0)
    assert server.wait() == 1
    assert server.log.count(f"by greenlets ({call})") == 1
    assert "--thread-workers 0" in server.log
    assert ("use --greenlet, " in server.log) is call.startswith("gevent")
    assert "Traceback" not in server.log
    if call.startswith("gevent"):
        server = serve("app:application", "--workers", count, "--greenlet", source=source)
        assert get(server.url) == b"here"
        assert server.stop() == 0
    options = ["--workers", count, "--thread-workers", "0"]
    server = serve("app:application", *options, source=source)
    assert "WARN" in server.log
    assert call in server.log
    assert get(server.url) == b"here"
    assert server.stop() == 0


def test_a_patch_that_leaves_threads_alone_is_no_matter(serve: Callable[..., Served]) -> None:
    patch = "from gevent import monkey; monkey.patch_socket(); monkey.patch_ssl()"
    server = serve("app:application", "--workers", "1", source=PATCHED.format(patch=patch))
    assert get(server.url) == b"here"


DEEP = """
import ast
import json
import pickle

import msgspec

def nested(depth):
    value = ()
    for _ in range(depth):
        value = (value,)
    return value

class Node:
    def __init__(self, child):
        self.child = child

    def __reduce__(self):
        return Node, (self.child,)

def pickled():
    node = None
    for _ in range(100_000):
        node = Node(node)
    return pickle.dumps(node)

def repeated(depth):
    def call(depth):
        return depth and call(depth - 1)
    return call(depth)

RECURSIONS = {
    "msgspec": lambda: msgspec.json.decode(b"[" * 200_000),
    "msgspec-7k": lambda: msgspec.json.decode(b"[" * 7_000),
    "hash": lambda: hash(nested(60_000)),
    "json": lambda: json.loads("[" * 200_000),
    "ast": lambda: ast.literal_eval("(" * 150 + ")" * 150),
    "parse": lambda: compile("-" * 3_000 + "1", "", "eval"),
    "pickle": pickled,
    "python": lambda: repeated(100_000),
    "repr": lambda: repr(nested(5_000)),
}

def outcome(name):
    try:
        return f"{name}: {type(RECURSIONS[name]()).__name__}"
    except Exception as error:
        return f"{name}: {type(error).__name__}"

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [outcome(environ["PATH_INFO"][1:]).encode()]

if __name__ == "__main__":
    for name in RECURSIONS:
        print(outcome(name))
"""


@pytest.mark.parametrize("threads", [0, 1])
def test_deep_recursion_ends_as_in_the_main_thread_of_python(
    serve: Callable[..., Served], tmp_path: Path, threads: int
) -> None:
    options = ["--workers", "1", "--thread-workers", str(threads)]
    server = serve("app:application", *options, source=DEEP)
    command = [sys.executable, "app.py"]
    alone = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    outcomes = alone.stdout.splitlines()
    assert len(outcomes) == 9
    for expected in outcomes:
        assert get(f"{server.url}/{expected.split(':')[0]}").decode() == expected
    assert server.stop() == 0
    assert "died" not in server.log


@pytest.mark.parametrize(
    ("limit", "expected"), [(1 << 20, 8 << 20), (16 << 20, 16 << 20), (-1, 64 << 20)]
)
@pytest.mark.skipif(sys.platform != "linux", reason="the sizes are read from /proc")
def test_the_stack_is_that_of_a_main_thread_within_limits(
    start: Callable[..., Served], tmp_path: Path, limit: int, expected: int
) -> None:
    if limit == -1 and resource.getrlimit(resource.RLIMIT_STACK)[1] != resource.RLIM_INFINITY:
        pytest.skip("the limit of this machine cannot be raised")
    (tmp_path / "app.py").write_text(SIZES)
    command = ["prlimit", f"--stack={'unlimited' if limit == -1 else limit}"]
    if shutil.which("prlimit") is None:
        pytest.skip("there is no prlimit here")
    command += [sys.executable, "-m", "tower_wsgi", "app:application", "--workers", "0"]
    for threads in ("0", "1"):
        server = start(*command, "--bind", "127.0.0.1:0", "--thread-workers", threads)
        size = int(get(server.url))
        # The system rounds it, and keeps some for itself.
        assert expected - (64 << 10) <= size <= expected + (64 << 10)


SIZES = """
import re

def application(environ, start_response):
    here = id(locals())
    # The stack of this thread is where its stack pointer is.
    with open("/proc/thread-self/syscall") as file:
        pointer = int(file.read().split()[-2], 16)
    with open("/proc/self/maps") as file:
        for line in file:
            start, end = (int(word, 16) for word in line.split()[0].split("-"))
            if start <= pointer < end:
                size = end - start
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(size).encode()]
"""
