"""`WebSocketProtocol`: one socket, as its handler sees it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import WSGIEnvironment

    from tower_wsgi._native import WebSocketFrame, WebSocketTransport


class WebSocketProtocol:
    """One socket. A handler may keep it, put it into a set, and give it attributes.

    Any thread may call the methods, at any time. They never wait: what they send is queued, and
    they return whether it was; ``False`` means that the socket is closed, or is about to be. If
    more than ``max_queued`` bytes wait for a client that reads too slowly, the socket is closed
    with 1013 and the queue is dropped.
    """

    handshake: WSGIEnvironment
    """The environ of the request that has opened the socket."""

    subprotocol: str | None
    """The subprotocol that was agreed upon."""

    _transport: WebSocketTransport

    def __init__(self, handshake: WSGIEnvironment, subprotocol: str | None) -> None:
        self.handshake = handshake
        self.subprotocol = subprotocol

    @property
    def cfg(self) -> object:
        """The settings of the server: ``environ["pulsar.cfg"]``."""
        return self.handshake.get("pulsar.cfg")

    def write(self, message: str | bytes) -> bool:
        """Send a message: text for ``str``, binary for ``bytes``."""
        return self._transport.write(message)

    def ping(self, message: str | bytes = b"") -> bool:
        """Send a ping of at most 125 bytes."""
        return self._transport.ping(_data(message))

    def pong(self, message: str | bytes = b"") -> bool:
        """Send a pong of at most 125 bytes. The server sends one for each ping by itself."""
        return self._transport.pong(_data(message))

    def write_close(self, code: int = 1000, reason: str = "") -> bool:
        """Close the socket, after what is queued.

        ``code`` is 1000 to 1003, 1007 to 1014, or one of the application from 3000 to 4999; the
        reason has at most 123 bytes in UTF-8. Messages that arrive from now on are dropped.
        """
        return self._transport.close(code, reason)

    @property
    def close_reason(self) -> tuple[int, str] | None:
        """Code and reason of the close; ``None`` while the connection is open.

        It is that of the side that closed first: 1001 when the server stops or reloads, 1011 when
        a handler raised an exception, 1013 when the client read too slowly, 1002, 1007 or 1009 for
        a frame that is malformed, not UTF-8 or too large, 1005 when the client sent no code. 1006
        means that the connection broke without a close.
        """
        return self._transport.close_reason


def broadcast(websockets: Iterable[WebSocketProtocol], message: str | bytes) -> int:
    """Send a message to all sockets; return for how many it was queued.

    The message is encoded once, so this is much cheaper than a `write` to each.
    """
    frame: WebSocketFrame | None = None
    queued = 0
    # A set that another thread changes meanwhile cannot be iterated over.
    for websocket in list(websockets):
        transport = websocket._transport
        if frame is None:
            frame = transport.frame(message)
        queued += transport.write(frame)
    return queued


def _data(message: str | bytes) -> bytes:
    return message.encode() if isinstance(message, str) else message
