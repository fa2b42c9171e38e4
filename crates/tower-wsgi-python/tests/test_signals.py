"""Signal handlers of an application: that they run at once, and what they may end."""

from __future__ import annotations

import os
import re
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from conftest import PATIENCE
from processes import wait_until, workers

from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Served

# Each signal is recorded in a file, so that no request wakes Python up.
TELLING = """
import os
import signal
import subprocess
import threading

def tell(text):
    with open(os.environ["RECORD"], "a") as file:
        file.write(f"{text}\\n")

def handler(number, frame):
    assert threading.current_thread() is threading.main_thread()
    tell(signal.Signals(number).name)

for name in ("SIGUSR1", "SIGALRM", "SIGCHLD", "SIGPROF", "SIGWINCH"):
    signal.signal(getattr(signal, name), handler)

def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/alarm":
        signal.setitimer(signal.ITIMER_REAL, 0.01)
    elif path == "/child":
        subprocess.run(["true"])
    elif path == "/fork":
        # What comes to a child is not for its parent.
        child = os.fork()
        if child == 0:
            os.kill(os.getpid(), signal.SIGWINCH)
            os._exit(0)
        os.waitpid(child, 0)
    elif path == "/prof":
        signal.setitimer(signal.ITIMER_PROF, 0.01)
        # Its clock is the time that is used up.
        while signal.getitimer(signal.ITIMER_PROF)[0]:
            sum(range(1000))
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""

PULSE = """
import sys

import django
from django.conf import settings
from django.core.management import execute_from_command_line

settings.configure(
    ALLOWED_HOSTS=["*"],
    INSTALLED_APPS=["tower_wsgi.pulse"],
    ROOT_URLCONF="urls",
    WSGI_APPLICATION="app.application",
)
execute_from_command_line([sys.argv[0], "pulse", "--skip-checks", *sys.argv[1:]])
"""

SCRIPT = """
from app import application
from tower_wsgi import wsgi

if __name__ == "__main__":
    wsgi.WSGIServer(application).start()
"""


def get(url: str) -> str:
    with urlopen(url, timeout=PATIENCE) as response:
        body: bytes = response.read()
        return body.decode()


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    path = tmp_path / "record"
    path.touch()
    monkeypatch.setenv("RECORD", str(path))
    return lambda: path.read_text().split()


@pytest.mark.parametrize(
    ("program", "options"),
    [
        ("command", "--workers 1"),
        ("command", "--workers 1 --thread-workers 0"),
        ("command", "--workers 0"),
        ("pulse", "--workers 1"),
        ("script", "--workers 0"),
    ],
)
def test_handlers_run_without_waiting_for_a_request(
    start: Callable[..., Served],
    tmp_path: Path,
    recorded: Callable[[], list[str]],
    program: str,
    options: str,
) -> None:
    (tmp_path / "app.py").write_text(TELLING)
    command = {
        "command": [sys.executable, "-m", "tower_wsgi", "app:application"],
        "pulse": [sys.executable, "program.py"],
        "script": [sys.executable, "program.py"],
    }[program]
    (tmp_path / "program.py").write_text(PULSE if program == "pulse" else SCRIPT)
    (tmp_path / "urls.py").write_text("urlpatterns = []\n")
    server = start(*command, "--bind", "127.0.0.1:0", *options.split())
    pid = int(get(server.url))
    os.kill(pid, signal.SIGUSR1)
    wait_until(lambda: recorded() == ["SIGUSR1"])
    for path, name in (("alarm", "SIGALRM"), ("child", "SIGCHLD"), ("prof", "SIGPROF")):
        get(f"{server.url}/{path}")
        wait_until(lambda name=name: name in recorded())  # type: ignore[misc]
    assert "SIGWINCH" not in recorded()
    get(f"{server.url}/fork")
    assert int(get(server.url)) == pid
    assert server.stop() == 0
    # Once, in the child: the parent ran handlers until its end.
    assert recorded().count("SIGWINCH") <= 1
    assert "raised" not in server.log


def test_handlers_run_while_a_live_server_stops() -> None:
    finish = threading.Event()
    called = threading.Event()

    def application(environ: Any, start_response: Any) -> list[bytes]:
        called.set()
        finish.wait(PATIENCE)
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"done"]

    def interrupt(number: int, frame: object) -> None:
        raise LookupError

    server = LiveServer(application)
    responses: list[str] = []
    client = threading.Thread(target=lambda: responses.append(get(server.url)))
    client.start()
    assert called.wait(PATIENCE)
    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        # It waits for the request by then, or is about to.
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        with pytest.raises(LookupError):
            server.stop()
        signal.signal(signal.SIGUSR1, lambda number, frame: finish.set())
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        assert server.stop() == 0
    finally:
        finish.set()
        signal.signal(signal.SIGUSR1, before)
    client.join(PATIENCE)
    assert responses == ["done"]


RAISING = """
import os
import signal
import sys

def handler(number, frame):
    raise {error}

signal.signal(signal.SIGUSR1, handler)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
"""


@pytest.mark.parametrize(
    ("error", "code"),
    [("SystemExit(7)", 7), ("KeyboardInterrupt", 130), ("LookupError('no such thing')", 1)],
)
def test_an_exception_in_a_handler_ends_the_process_with_a_reason(
    serve: Callable[..., Served], error: str, code: int
) -> None:
    source = RAISING.format(error=error)
    name = re.split(r"\W", error)[0]
    server = serve("app:application", "--workers", "0", source=source)
    server.process.send_signal(signal.SIGUSR1)
    assert server.wait() == code
    assert f"a signal handler of the application raised {name}" in server.log
    assert ("Traceback" in server.log) == (name == "LookupError")
    assert "stopped" in server.log

    server = serve("app:application", "--workers", "1", source=source)
    (worker,) = workers(server)
    os.kill(worker, signal.SIGUSR1)
    server.wait_for_log(f"a signal handler of the application raised {name}")
    wait_until(lambda: worker not in workers(server))
    assert int(get(server.url)) != worker
    assert server.stop() == 0
    # It was replaced, and did not die.
    assert "worker died" not in server.log


STOPPING = """
import os
import signal

def handler(number, frame):
    with open(os.environ["RECORD"], "a") as file:
        file.write("handled\\n")

signal.signal(signal.{name}, handler)

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]
"""


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT"])
@pytest.mark.parametrize("count", [0, 1])
def test_a_handler_for_a_signal_that_stops_does_not_keep_the_server_from_it(
    serve: Callable[..., Served], recorded: Callable[[], list[str]], name: str, count: int
) -> None:
    source = STOPPING.format(name=name)
    server = serve("app:application", "--workers", str(count), source=source)
    (process,) = workers(server) if count else (server.process.pid,)
    os.kill(process, getattr(signal, name))
    wait_until(lambda: recorded() == ["handled"])
    if count:
        # It drains, and another takes its place.
        wait_until(lambda: workers(server) not in ([], [process]))
        assert server.stop() == 0
    else:
        assert server.wait() == 0


WAKING = """
import os
import signal

reader, writer = os.pipe()
os.set_blocking(writer, False)
before = signal.set_wakeup_fd(writer)
{more}
signal.signal(signal.SIGUSR1, lambda number, frame: handled.append(number))
handled = []

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    if environ["PATH_INFO"] == "/pipe":
        return [str(list(os.read(reader, 10))).encode()]
    return [str(handled).encode()]
"""


def test_an_application_with_a_wakeup_fd_of_its_own_gets_its_signals(
    serve: Callable[..., Served],
) -> None:
    server = serve("app:application", "--workers", "1", source=WAKING.format(more=""))
    (worker,) = workers(server)
    os.kill(worker, signal.SIGUSR1)
    wait_until(lambda: get(server.url) == str([signal.SIGUSR1.value]))
    assert get(f"{server.url}/pipe") == str([signal.SIGUSR1.value])
    assert server.stop() == 0


def test_an_application_that_closes_the_servers_wakeup_fd_still_gets_its_signals(
    serve: Callable[..., Served],
) -> None:
    more = "signal.set_wakeup_fd(-1); os.close(before)"
    server = serve("app:application", "--workers", "1", source=WAKING.format(more=more))
    (worker,) = workers(server)
    os.kill(worker, signal.SIGUSR1)
    wait_until(lambda: get(server.url) == str([signal.SIGUSR1.value]))
    assert "has closed a file descriptor of the server" in server.log
    assert server.stop() == 0


THREAD = """
import threading
from tower_wsgi import wsgi

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"here"]

codes = []
server = wsgi.WSGIServer(application, workers=0)
thread = threading.Thread(target=lambda: codes.append(server.start()))
thread.start()
thread.join()
print("the main thread continues:", codes, flush=True)
"""


def test_a_server_in_another_thread_than_the_main_one_leaves_the_program_to_it(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(THREAD)
    server = start(sys.executable, "program.py", "--bind", "127.0.0.1:0")
    assert get(server.url) == "here"
    assert server.stop() == 0
    assert "the main thread continues: [0]" in server.log
    assert "Traceback" not in server.log
