"""A client that hides nothing: bytes out, bytes in."""

from __future__ import annotations

import re
import socket
import struct
from typing import TYPE_CHECKING

from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterable

# A response without a body regardless of its other fields, by its status.
BODILESS = (b"204", b"304")


class Broken(Exception):
    """The connection ended in the middle of a response, which is what the exception holds."""

    def __init__(self, response: Response, *, reset: bool) -> None:
        super().__init__(response.raw)
        self.response = response
        self.reset = reset


class Response:
    """A response, as it came. In ``raw`` the date is ``DATE``."""

    def __init__(self, head: bytes) -> None:
        lines = head[:-4].split(b"\r\n")
        self.head = re.sub(rb"(?im)^(date): [^\r]*", rb"\1: DATE", head)
        self.status_line = lines[0]
        self.headers = [
            (name.lower(), value)
            for name, _, value in (line.partition(b": ") for line in lines[1:])
        ]
        self.coded = b""
        self.chunks: list[bytes] = []

    @property
    def raw(self) -> bytes:
        return self.head + self.coded

    @property
    def code(self) -> int:
        return int(self.status_line.split(b" ")[1])

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def text(self) -> str:
        return self.body.decode()

    def get(self, name: bytes) -> bytes | None:
        """The value of a header field that comes at most once."""
        values = self.get_all(name)
        assert len(values) <= 1, values
        return values[0] if values else None

    def get_all(self, name: bytes) -> list[bytes]:
        return [value for field, value in self.headers if field == name]


class Connection:
    """A connection to the server."""

    def __init__(self, address: tuple[str, int]) -> None:
        self.socket = socket.create_connection(address, PATIENCE)
        self.received = b""

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def request(
        self,
        target: str,
        method: str = "GET",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes | None = None,
        version: str = "1.1",
    ) -> None:
        """Send a request, with `Host` (unless it is HTTP/1.0) and the length of its body."""
        lines = [f"{method} {target} HTTP/{version}"]
        if version != "1.0":
            lines.append("Host: test")
        lines += [f"{name}: {value}" for name, value in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.send(head.encode("latin-1") + (body or b""))

    def response(self, method: str = "GET") -> Response:
        """Read one response; `Broken` if it does not end as it has to."""
        # Where not even the head has come, there is still a response to tell of.
        response = Response(self._until(b"\r\n\r\n", Response(b"HTTP/1.1 000 Nothing\r\n\r\n")))
        bodiless = method == "HEAD" or response.status_line.split(b" ")[1] in BODILESS
        if bodiless or 100 <= response.code < 200:
            return response
        if response.get(b"transfer-encoding") == b"chunked":
            self._read_chunks(response)
        elif (length := response.get(b"content-length")) is not None:
            self._read_length(response, int(length))
        else:
            self._read_to_end(response)
        return response

    def piece(self, response: Response | None = None) -> bytes:
        """Read one chunk of a chunked body whose head has been read."""
        size = int(self._until(b"\r\n", response).strip(), 16)
        data = self._exactly(size + 2, response)
        assert data.endswith(b"\r\n")
        return data[:-2]

    def head(self) -> Response:
        """Read the head of a response, and no more."""
        return Response(self._until(b"\r\n\r\n"))

    def end(self) -> bytes:
        """Read until the server closes in order."""
        while True:
            data = self.socket.recv(65536)
            if not data:
                rest, self.received = self.received, b""
                return rest
            self.received += data

    def is_silent(self) -> bool:
        """Whether nothing has come that was not read."""
        self.socket.setblocking(False)
        try:
            self.received += self.socket.recv(65536)
        except BlockingIOError:
            pass
        finally:
            self.socket.settimeout(PATIENCE)
        return not self.received

    def reset(self) -> None:
        """Leave as a client that crashes."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _receive(self, response: Response | None) -> None:
        try:
            data = self.socket.recv(1 << 20)
        except ConnectionResetError:
            if response is None:
                raise
            raise Broken(response, reset=True) from None
        if not data:
            if response is None:
                raise EOFError(f"the server has closed the connection, after {self.received!r}")
            raise Broken(response, reset=False)
        self.received += data

    def _until(self, end: bytes, response: Response | None = None) -> bytes:
        while end not in self.received:
            self._receive(response)
        data, _, self.received = self.received.partition(end)
        return data + end

    def _exactly(self, size: int, response: Response | None) -> bytes:
        pieces, missing = [self.received[:size]], size - len(self.received)
        self.received = self.received[size:]
        while missing > 0:
            self._receive(response)
            pieces.append(self.received[:missing])
            self.received, missing = self.received[missing:], missing - len(self.received)
        return b"".join(pieces)

    def _read_chunks(self, response: Response) -> None:
        while True:
            line = self._until(b"\r\n", response)
            data = self._exactly(int(line, 16) + 2, response)
            assert data.endswith(b"\r\n")
            response.coded += line + data
            if data == b"\r\n":
                return
            response.chunks.append(data[:-2])

    def _read_length(self, response: Response, length: int) -> None:
        pieces: list[bytes] = []
        while length:
            if not self.received:
                response.coded = b"".join(pieces)
                response.chunks = [response.coded]
                self._receive(response)
            pieces.append(self.received[:length])
            self.received, length = self.received[length:], length - len(pieces[-1])
        response.coded = b"".join(pieces)
        response.chunks = [response.coded]

    def _read_to_end(self, response: Response) -> None:
        while True:
            response.coded += self.received
            response.chunks, self.received = [response.coded], b""
            try:
                self._receive(response)
            except Broken as broken:
                if broken.reset:
                    raise
                return
