"""Standard output and standard error that cannot be written do not affect responses."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import PATIENCE
from processes import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Client, Served

APPLICATION = """
import logging
import os
import sys
import warnings
from multiprocessing import get_context

# As Django's own command does: before the server replaces the stream.
early = logging.getLogger("early")
early.addHandler(logging.StreamHandler())


def in_child(text):
    print(text, flush=True)
    print(text, file=sys.stderr)


def application(environ, start_response):
    path = environ["PATH_INFO"]
    if path == "/raise":
        raise RuntimeError("out of order")
    if path == "/streams":
        streams = [(sys.stdout, 1), (sys.stderr, 2)]
        assert all(stream.fileno() == number for stream, number in streams)
        assert not any(stream.isatty() for stream, _ in streams)
        assert environ["wsgi.errors"] is sys.stderr
        sys.stdout.buffer.write(b"to the buffer\\\\n")
        print("two", "words", end=" ")
        print("and an end\\\\u20ac")
        print("unfinished", file=sys.stderr, end="", flush=True)
        sys.stderr.writelines([" line\\\\n", "\\\\udcff\\\\n"])
        environ["wsgi.errors"].write("to wsgi.errors\\\\n")
        warnings.warn("a warning")
        logging.error("to the log")
        early.error("to the early log")
    if path == "/fork":
        child = get_context("fork").Process(target=in_child, args=("from a child",))
        child.start()
        child.join()
        assert child.exitcode is not None
    if path == "/print":
        for stream in (sys.stdout, sys.stderr, environ["wsgi.errors"]):
            for _ in range(20):
                print("x" * 10_000, file=stream, flush=True)
        logging.error("to the log")
        early.error("to the early log")
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"served"]
""".replace("\\\\", "\\")

SCRIPT = (
    APPLICATION
    + """
from tower_wsgi import wsgi

if __name__ == "__main__":
    wsgi.WSGIServer(application).start()
"""
)


def test_prints_are_where_they_were(serve: Callable[..., Served], client: Client) -> None:
    server = serve("app:application", "--workers", "1", source=APPLICATION)
    assert client.get(f"{server.url}/streams").text == "served"
    assert client.get(f"{server.url}/fork").text == "served"
    assert client.get(f"{server.url}/raise").status_code == 500
    for text in [
        "to the buffer",
        "two words and an end€",
        " line",
        r"\udcff",
        "to wsgi.errors",
        "UserWarning: a warning",
        "ERROR:root:to the log",
        "to the early log",
        "RuntimeError: out of order",
    ]:
        wait_until(lambda text=text: f"{text}\n" in server.log)  # type: ignore[misc]
    # Other streams go to the same pipe.
    assert "unfinished" in server.log
    wait_until(lambda: server.log.count("from a child\n") == 2)
    assert server.stop() == 0


def test_the_log_file_gets_what_is_printed_to_standard_error(
    serve: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    source = "import os\nos.chdir('/')\n" + APPLICATION
    options = ("--workers", "1", "--log-file", "server.log", "--control-socket", "ctl")
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        address = f"127.0.0.1:{sock.getsockname()[1]}"
    server = serve("app:application", *options, "--bind", address, source=source, addresses=0)
    log = tmp_path / "server.log"
    wait_until(lambda: log.exists() and " ready " in log.read_text())
    assert client.get(f"http://{address}/streams").text == "served"
    assert client.get(f"http://{address}/raise").status_code == 500
    wait_until(lambda: "RuntimeError: out of order\n" in log.read_text())
    assert "unfinished line\n" in log.read_text()
    assert "to the buffer" not in log.read_text()
    log.rename(tmp_path / "server.log.1")
    server.process.send_signal(signal.SIGUSR1)
    wait_until(lambda: log.exists() and "opened again" in log.read_text())
    assert client.get(f"http://{address}/raise").status_code == 500
    wait_until(lambda: "RuntimeError: out of order\n" in log.read_text())
    assert server.stop() == 0
    assert "RuntimeError" not in server.log


BROKEN = ["gone", "full", "closed", "disk full"]


@contextmanager
def broken_streams(broken: str) -> Iterator[tuple[list[str], int]]:
    """Give what to put before the command, and a descriptor for both streams."""
    prefix = ["sh", "-c", 'exec "$@" 1>&- 2>&-', "sh"] if broken == "closed" else []
    if broken == "disk full":
        with Path("/dev/full").open("wb") as full:
            yield prefix, full.fileno()
        return
    reader, writer = os.pipe()
    if broken == "gone":
        os.close(reader)
    if broken == "full":
        os.set_blocking(writer, False)
        for size in (4096, 1):
            try:
                while True:
                    os.write(writer, b"x" * size)
            except BlockingIOError:
                pass
        os.set_blocking(writer, True)
    yield prefix, writer
    os.close(writer)
    if broken != "gone":
        os.close(reader)


def children(pid: int) -> list[int]:
    """The workers of a supervisor, which any of its threads may have started."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        # The thread, or the process, may have ended.
        with suppress(OSError):
            found += [int(child) for child in children.read_text().split()]
    return found


@pytest.mark.parametrize("workers", [1, 0])
@pytest.mark.parametrize("broken", BROKEN)
def test_an_application_responds_even_if_its_output_is_lost(
    broken: str, workers: int, tmp_path: Path
) -> None:
    (tmp_path / "site.py").write_text(SCRIPT)
    with socket.socket() as listener, broken_streams(broken) as (prefix, stream):
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        options = ["-b", address, "-w", str(workers), "--graceful-timeout", "5"]
        process = subprocess.Popen(
            [*prefix, sys.executable, "site.py", *options],
            cwd=tmp_path,
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )
        try:

            def status(path: str) -> int:
                return requests.get(f"http://{address}{path}", timeout=PATIENCE).status_code

            def serves() -> bool:
                assert process.poll() is None
                try:
                    return status("/") == 200
                except requests.ConnectionError:
                    return False

            wait_until(serves)
            for _ in range(3):
                assert status("/print") == 200
                assert status("/raise") == 500
            if workers:
                (worker,) = children(process.pid)
                os.kill(worker, signal.SIGKILL)
                wait_until(lambda: children(process.pid) not in ([], [worker]) and serves())
                (worker,) = children(process.pid)
                process.send_signal(signal.SIGHUP)
                wait_until(lambda: worker not in children(process.pid) and serves())
            process.send_signal(signal.SIGUSR1)
            assert status("/print") == 200
            process.send_signal(signal.SIGTERM)
            # The graceful timeout, and 2 seconds.
            assert process.wait(7) == 0
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("no_color", [None, "", "1"])
def test_colours_are_for_terminals_and_for_those_who_want_them(
    no_color: str | None, tmp_path: Path
) -> None:
    (tmp_path / "site.py").write_text(SCRIPT)
    environ = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
    if no_color is not None:
        environ["NO_COLOR"] = no_color
    ours, theirs = os.openpty()
    process = subprocess.Popen(
        [sys.executable, "site.py", "-b", "127.0.0.1:0", "-w", "1"],
        cwd=tmp_path,
        env=environ,
        stdin=subprocess.DEVNULL,
        stderr=theirs,
    )
    try:
        text = b""
        while b" ready " not in text:
            text += os.read(ours, 4096)
        assert (b"\x1b[" in text) == (not no_color)
        # The terminal closes: the system tells the server, and takes no more lines.
        os.close(theirs)
        os.close(ours)
        process.send_signal(signal.SIGHUP)
        before = children(process.pid)
        wait_until(lambda: children(process.pid) not in ([], before))
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
