"""A client that sends exactly what a test says, which other clients would tidy up."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Mapping


class RawResponse:
    """What came back on a connection that was closed after it."""

    def __init__(self, data: bytes) -> None:
        head, _, self.rest = data.partition(b"\r\n\r\n")
        self.status_line, *fields = head.decode("latin-1").split("\r\n")
        self.status = int(self.status_line.split(" ")[1])
        self.headers: dict[str, str] = {}
        for field in fields:
            name, _, value = field.partition(": ")
            self.headers[name.lower()] = value

    @property
    def body(self) -> bytes:
        """The content."""
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rest
        body, rest = b"", self.rest
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            length = int(size, 16)
            body, rest = body + rest[:length], rest[length + 2 :]
        return body


def connect(url: str) -> socket.socket:
    """Open a connection to a server."""
    address = urlsplit(url)
    assert address.hostname
    assert address.port
    return socket.create_connection((address.hostname, address.port), PATIENCE)


def fetch(
    url: str, target: str, headers: Mapping[str, str] | None = None, method: str = "GET"
) -> RawResponse:
    """Send one request with this target, character by character."""
    fields = {"host": "a.example", "connection": "close", **(headers or {})}
    lines = [f"{method} {target} HTTP/1.1", *(f"{name}: {fields[name]}" for name in fields)]
    with connect(url) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("utf-8"))
        data = b""
        while piece := connection.recv(1 << 16):
            data += piece
    return RawResponse(data)
