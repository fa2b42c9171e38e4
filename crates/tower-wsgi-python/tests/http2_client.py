"""A client of HTTP/2 on hyper-h2: https://python-hyper.org/projects/h2/."""

from __future__ import annotations

import socket
import ssl
from collections import defaultdict
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import h2.config
import h2.connection
import h2.events
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Fields = list[tuple[str, str]]


class Http2Response:
    """A response, as far as it has come."""

    def __init__(self) -> None:
        self.fields: Fields = []
        self.trailers: Fields = []
        self.body = b""
        self.ended = False
        # The error code of RST_STREAM.
        self.reset: int | None = None

    @property
    def status(self) -> int:
        """The status as a number."""
        return int(self.field(":status"))

    def field(self, name: str) -> str:
        """The value of a field, or nothing."""
        return next((value for found, value in self.fields if found == name), "")


class Http2Connection:
    """One connection, whose streams run at once."""

    def __init__(self, connection: socket.socket, authority: str, scheme: str) -> None:
        self._socket = connection
        self._authority = authority
        self._scheme = scheme
        # What it sends may break a rule, if the test wants that.
        config = h2.config.H2Configuration(
            header_encoding="latin-1",
            validate_outbound_headers=False,
            normalize_outbound_headers=False,
        )
        self.h2 = h2.connection.H2Connection(config)
        self.responses: dict[int, Http2Response] = defaultdict(Http2Response)
        # The error code of GOAWAY.
        self.goaway: int | None = None
        self.h2.initiate_connection()
        self.flush()

    def begin(
        self,
        path: str,
        method: str = "GET",
        fields: Sequence[tuple[str, str]] = (),
        *,
        end: bool = True,
    ) -> int:
        """Send the head of a request; gives the stream."""
        stream = self.h2.get_next_available_stream_id()
        head = [
            (":method", method),
            (":scheme", self._scheme),
            (":authority", self._authority),
            (":path", path),
        ]
        self.h2.send_headers(stream, [*head, *fields], end_stream=end)
        self.flush()
        return stream

    def send(self, stream: int, data: bytes, *, end: bool = False) -> None:
        """Send a part of the body, as the windows allow it."""
        while True:
            room = self.h2.local_flow_control_window(stream)
            piece = data[: min(room, self.h2.max_outbound_frame_size)]
            data = data[len(piece) :]
            if piece or (end and not data):
                self.h2.send_data(stream, piece, end_stream=end and not data)
                self.flush()
            if not data:
                return
            if not piece:
                self.receive()

    def reset(self, stream: int) -> None:
        """End a stream by an error."""
        self.h2.reset_stream(stream)
        self.flush()

    def fetch(
        self,
        path: str,
        method: str = "GET",
        fields: Sequence[tuple[str, str]] = (),
        body: bytes | None = None,
    ) -> Http2Response:
        """Send a request, and wait for the response."""
        stream = self.begin(path, method, fields, end=body is None)
        if body is not None:
            self.send(stream, body, end=True)
        return self.response(stream)

    def response(self, stream: int) -> Http2Response:
        """Wait for the end of a response, or for that of its stream."""
        response = self.responses[stream]
        while not response.ended and response.reset is None:
            assert self.receive(), f"the connection has ended: {self.goaway}"
        return response

    def receive(self) -> bool:
        """Wait for frames; false at the end of the connection."""
        data = self._socket.recv(1 << 16)
        if not data:
            return False
        for event in self.h2.receive_data(data):
            self._see(event)
        self.flush()
        return True

    def flush(self) -> None:
        """Send what is to be sent."""
        self._socket.sendall(self.h2.data_to_send())

    def _see(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.ResponseReceived(stream_id=stream, headers=headers):
                self.responses[stream].fields = [(str(n), str(v)) for n, v in headers]
            case h2.events.TrailersReceived(stream_id=stream, headers=headers):
                self.responses[stream].trailers = [(str(n), str(v)) for n, v in headers]
            case h2.events.DataReceived(stream_id=stream, data=data, flow_controlled_length=length):
                self.responses[stream].body += data
                self.h2.acknowledge_received_data(length, stream)
            case h2.events.StreamEnded(stream_id=stream):
                self.responses[stream].ended = True
            case h2.events.StreamReset(stream_id=stream, error_code=code):
                self.responses[stream].reset = int(code)
            case h2.events.ConnectionTerminated(error_code=code):
                self.goaway = int(code or 0)
            case _:
                pass


@contextmanager
def connected(url: str, trusted: str | None = None) -> Iterator[Http2Connection]:
    """Connect, and with the certificate ``trusted`` by TLS."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname or "", parts.port or 0), PATIENCE) as plain:
        if trusted is None:
            yield Http2Connection(plain, parts.netloc, "http")
            return
        context = ssl.create_default_context(cafile=trusted)
        context.set_alpn_protocols(["h2"])
        with context.wrap_socket(plain, server_hostname="localhost") as encrypted:
            assert encrypted.selected_alpn_protocol() == "h2"
            yield Http2Connection(encrypted, f"localhost:{parts.port}", "https")
