"""The clients: as fast as Python can, on a bounded number of connections."""

from __future__ import annotations

import itertools
import json
import os
import socket
import struct
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Sequence

# Each is one kind of response, with a length that is always the same.
REQUESTS = [
    *[b"GET /hello HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\nX-Some: thing\r\n\r\n"] * 6,
    b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
    b"POST /hello HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n",
    b"GET /generator HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /write HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /restart HTTP/1.1\r\nHost: a\r\n\r\n",
    b"HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /file HTTP/1.1\r\nHost: a\r\n\r\n",
]
AWAITED = [
    *[b"GET /coroutine HTTP/1.1\r\nHost: a\r\nCookie: a=b\r\n\r\n"] * 4,
    b"POST /coroutine HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n12345",
    b"HEAD /coroutine HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /pieces HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /awaitables HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /awaited-write HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /awaited-file HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /handler HTTP/1.1\r\nHost: a\r\n\r\n",
    b"GET /handler-of-pieces HTTP/1.1\r\nHost: a\r\n\r\n",
]
CONNECTIONS = 8


class Load:
    """Clients of one server."""

    def __init__(self, address: tuple[str, int], folder: Path) -> None:
        self.address = address
        self.folder = folder
        self.gates = itertools.count()

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, PATIENCE)

    def ask(self, path: str) -> dict[str, int]:
        """Ask the application for one of its reports."""
        with self.connect() as connection:
            connection.sendall(f"GET {path} HTTP/1.0\r\n\r\n".encode())
            head, _, body = _to_end(connection).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.0 200 "), head
            response: dict[str, int] = json.loads(body)
            return response

    def settle(self) -> dict[str, int]:
        """Wait until every call is closed and every connection gone, then tell what is held."""
        deadline = time.monotonic() + PATIENCE
        while True:
            state = self.ask("/state")
            if state["calls"] == state["closes"] and not self.open_connections(state["process"]):
                return self.ask("/holds")
            assert time.monotonic() < deadline, (state, self.open_connections(state["process"]))

    def open_connections(self, process: int) -> int:
        """How many client connections the worker has open, without the one that asks."""
        sockets = 0
        for entry in Path(f"/proc/{process}/fd").iterdir():
            try:
                sockets += str(entry.readlink()).startswith("socket:")
            except FileNotFoundError:
                continue
        if not hasattr(self, "sockets"):
            # Its listener and its end of the control socket.
            self.sockets = sockets
        return max(0, sockets - self.sockets)

    def requests(self, count: int, kinds: Sequence[bytes] = REQUESTS) -> None:
        """Send this number of requests, of all kinds, over persistent connections."""
        lengths = [self._length(request) for request in kinds]
        batch, expected = b"".join(kinds), sum(lengths)
        buffer = bytearray(1 << 20)
        connections = [self.connect() for _ in range(CONNECTIONS)]
        for _ in range(0, count, len(kinds) * CONNECTIONS):
            for connection in connections:
                connection.sendall(batch)
            for connection in connections:
                left = expected
                while left:
                    received = connection.recv_into(buffer, left)
                    assert received
                    left -= received
        for connection in connections:
            # Nothing more has come than was expected.
            connection.sendall(b"GET /state HTTP/1.0\r\n\r\n")
            assert b'"process"' in _to_end(connection)
            connection.close()

    def _length(self, request: bytes) -> int:
        with self.connect() as connection:
            end = request.index(b"\r\n\r\n")
            connection.sendall(request[:end] + b"\r\nConnection: close" + request[end:])
            response = _to_end(connection)
            assert response.startswith(b"HTTP/1.1 200 "), response
            return len(response) - len(b"connection: close\r\n")

    def failures(self, count: int, prefix: str = "/") -> None:
        """Applications that raise, in the call and later."""
        for number in range(count):
            with self.connect() as connection:
                later = number % 2 == 1
                path = f"{prefix}raise-later" if later else f"{prefix}raise"
                connection.sendall(
                    f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
                )
                try:
                    response = _to_end(connection)
                except ConnectionResetError:
                    assert later
                else:
                    assert response.startswith(b"HTTP/1.1 500 ") != later
                    assert not response.endswith(b"0\r\n\r\n")

    def leave_response(self, count: int, path: str = "/endless") -> None:
        """Clients that leave in the middle of a response."""
        for number in range(count):
            connection = self.connect()
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            assert connection.recv(1000)
            _leave(connection, reset=number % 2 == 0)

    def leave_awaited(self, count: int) -> None:
        """Clients that leave before there is a response."""
        for number in range(count):
            connection = self.connect()
            connection.sendall(b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n")
            if number % 10 == 0:
                self._wait_for_call()
            # Closed otherwise, it looks as if the client had closed its sending side alone.
            _leave(connection, reset=True)

    def _wait_for_call(self) -> None:
        deadline = time.monotonic() + PATIENCE
        state = self.ask("/state")
        while state["calls"] == state["closes"]:
            assert time.monotonic() < deadline, state
            state = self.ask("/state")

    def leave_upload(self, count: int) -> None:
        """Clients that leave in the middle of an upload; some of it was on disk already."""
        small, large = b"x" * 1000, b"x" * (2 << 20)
        for number in range(count):
            connection = self.connect()
            body = large if number % 10 == 0 else small
            connection.sendall(
                b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 9000000\r\n\r\n" + body
            )
            _leave(connection, reset=number % 2 == 0)

    def leave_queue(self, count: int, threads: int) -> None:
        """Clients that leave while their requests wait for a thread."""
        for start in range(0, count, 100):
            gate = self.folder / f"gate-{next(self.gates)}"
            os.mkfifo(gate)
            end = os.open(gate, os.O_RDWR | os.O_NONBLOCK)
            busy = [self.connect() for _ in range(threads)]
            for connection in busy:
                connection.sendall(
                    f"GET /wait HTTP/1.1\r\nHost: a\r\nX-Gate: {gate}\r\n\r\n".encode()
                )
            queued = [self.connect() for _ in range(min(100, count - start))]
            for number, connection in enumerate(queued):
                connection.sendall(b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n")
                _leave(connection, reset=number % 2 == 0)
            os.write(end, b"!" * threads)
            for connection in busy:
                assert connection.recv(1000).startswith(b"HTTP/1.1 200 ")
                connection.close()
            os.close(end)
            gate.unlink()


def _to_end(connection: socket.socket) -> bytes:
    data = b""
    while more := connection.recv(65536):
        data += more
    return data


def _leave(connection: socket.socket, *, reset: bool) -> None:
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def difference(before: dict[str, int], after: dict[str, int]) -> dict[str, Any]:
    return {name: after[name] - before[name] for name in before}
