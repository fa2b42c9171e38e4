"""A WebSocket client that sends any frames, valid or not."""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from conftest import PATIENCE

if TYPE_CHECKING:
    from types import TracebackType

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
KEY = "dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

HANDSHAKE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": KEY,
}


def frame(
    opcode: int,
    payload: bytes = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    masked: bool = True,
    length: int | None = None,
) -> bytes:
    """The bytes of a frame; ``length`` is the length that the header claims."""
    length = len(payload) if length is None else length
    head = bytes([(fin << 7) | (reserved << 4) | opcode])
    bit = masked << 7
    if length < 126:
        head += bytes([bit | length])
    elif length < 1 << 16:
        head += struct.pack("!BH", bit | 126, length)
    else:
        head += struct.pack("!BQ", bit | 127, length)
    if not masked:
        return head + payload
    mask = os.urandom(4)
    whole, rest = divmod(len(payload), 4)
    key = int.from_bytes(mask * whole + mask[:rest], "big")
    body = (int.from_bytes(payload, "big") ^ key).to_bytes(len(payload), "big")
    return head + mask + body


def close_payload(code: int, reason: str | bytes = b"") -> bytes:
    return struct.pack("!H", code) + (reason.encode() if isinstance(reason, str) else reason)


class RawClient:
    """One connection, whose handshake is sent at once.

    ``status`` and ``headers`` are those of the response.
    """

    def __init__(
        self,
        url: str,
        path: str,
        *,
        method: str = "GET",
        after: bytes = b"",
        receive_buffer: int | None = None,
        **headers: str | None,
    ) -> None:
        address = urlsplit(url)
        self.socket = socket.socket()
        self.socket.settimeout(PATIENCE)
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.connect((address.hostname, address.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        fields = {"Host": address.netloc, **HANDSHAKE, **given}
        lines = [f"{method} {path} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in fields.items() if value is not None]
        # ``after`` is sent in the same packet.
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode() + after)
        self._input = self.socket.makefile("rb")
        self.status = int(self._input.readline().split()[1])
        self.headers: dict[str, str] = {}
        while line := self._input.readline().strip().decode():
            name, _, value = line.partition(":")
            self.headers[name.lower()] = value.strip()

    def body(self) -> str:
        """The body of a response that is not 101."""
        return self._input.read(int(self.headers["content-length"])).decode()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def send_slowly(self, data: bytes, size: int) -> None:
        """Send ``data`` in packets of this size."""
        for start in range(0, len(data), size):
            self.socket.sendall(data[start : start + size])

    def receive(self) -> tuple[int, bytes]:
        """The opcode and payload of the next frame, which must be whole and not masked."""
        head = self._exactly(2)
        assert head[0] & 0xF0 == 0x80, f"fragmented or reserved: {head!r}"
        assert not head[1] & 0x80, "a server must not mask"
        length = head[1] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", self._exactly(2))
            assert length > 125
        elif length == 127:
            (length,) = struct.unpack("!Q", self._exactly(8))
            assert length > 0xFFFF
        return head[0] & 0x0F, self._exactly(length)

    def receive_close(self) -> tuple[int, str]:
        """The code and reason of the close that must come next."""
        opcode, payload = self.receive()
        assert opcode == CLOSE, (opcode, payload)
        if not payload:
            return 1005, ""
        (code,) = struct.unpack("!H", payload[:2])
        return code, payload[2:].decode()

    def is_ended(self) -> bool:
        """Wait for the end of the connection, without another frame."""
        try:
            return self._input.read(1) == b""
        except ConnectionResetError:
            return True

    def close(self) -> None:
        self._input.close()
        self.socket.close()

    def _exactly(self, count: int) -> bytes:
        data = self._input.read(count)
        assert len(data) == count, "the connection has ended"
        return data

    def __enter__(self) -> RawClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()
