"""What the kernel, and a socket of the test's own, tell about the processes of a server."""

from __future__ import annotations

import re
import socket
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Served


def workers(server: Served) -> list[int]:
    """The process ids of the workers."""
    # The kernel lists the children of each thread.
    tasks = Path(f"/proc/{server.process.pid}/task").glob("*/children")
    return [int(pid) for children in tasks for pid in children.read_text().split()]


def memory(worker: int) -> int:
    """The memory in bytes that a process has in use."""
    return _status(worker, "VmRSS")


def most_memory(worker: int) -> int:
    """The most memory in bytes that a process has ever had in use."""
    return _status(worker, "VmHWM")


def _status(process: int, field: str) -> int:
    status = Path(f"/proc/{process}/status").read_text()
    found = re.search(rf"^{field}:\s+(\d+) kB$", status, re.MULTILINE)
    assert found is not None
    return int(found[1]) << 10


class Question:
    """A question of an application, which waits for the reply."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        with connection.makefile() as lines:
            self.text = lines.readline().strip()

    def reply(self) -> None:
        """Let the application continue."""
        self._connection.sendall(b"continue\n")


class Questions:
    """A socket at which an application reports where it is, and waits for a reply."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        host, port = listener.getsockname()
        self.address = f"{host}:{port}"

    def reply(self) -> str:
        """Wait for the next question, reply to it, and return it."""
        with self.take() as question:
            question.reply()
        return question.text

    @contextmanager
    def take(self) -> Iterator[Question]:
        """Wait for the next question; the application waits for a reply or the end."""
        connection, _ = self._listener.accept()
        with connection:
            connection.settimeout(PATIENCE)
            yield Question(connection)


@contextmanager
def questions() -> Iterator[Questions]:
    """Take questions; who asks afterwards gets an error."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE)
        yield Questions(listener)


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what no event tells."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
