"""`WS`: what an application does when something happens on a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from tower_wsgi.ws.protocol import WebSocketProtocol


class WS:
    """A handler of sockets: override the methods for the events that matter.

    One handler serves all sockets of a `WebSocket`; ``websocket`` says which one it is. Each method
    may be ``async def``. A method that is not overridden costs nothing: Python is not called.

    If a method raises an exception, its traceback is in ``wsgi.errors``, and the socket is closed
    with 1011.
    """

    def on_open(self, websocket: WebSocketProtocol) -> Awaitable[None] | None:
        """The client has been sent the response 101. The first event."""

    def on_message(self, websocket: WebSocketProtocol, message: str) -> Awaitable[None] | None:
        """A text message has arrived."""

    def on_bytes(self, websocket: WebSocketProtocol, body: bytes) -> Awaitable[None] | None:
        """A binary message has arrived."""

    def on_ping(self, websocket: WebSocketProtocol, message: bytes) -> Awaitable[None] | None:
        """A ping has arrived. The server has sent the pong already."""

    def on_pong(self, websocket: WebSocketProtocol, message: bytes) -> Awaitable[None] | None:
        """A pong has arrived, also one for a ping of the server."""

    def on_close(self, websocket: WebSocketProtocol) -> Awaitable[None] | None:
        """The connection has ended, for any reason: see ``websocket.close_reason``.

        The last event. It comes exactly once for each socket for which `on_open` was called.
        """


EVENTS = ("on_open", "on_message", "on_bytes", "on_ping", "on_pong", "on_close")


def methods(handler: object) -> tuple[object, ...]:
    """Return the methods of a handler for `EVENTS`, or ``None`` where it does nothing."""
    found = [getattr(handler, name, None) for name in EVENTS]
    nothing = [getattr(WS, name) for name in EVENTS]
    return tuple(
        None if getattr(method, "__func__", None) is default else method
        for method, default in zip(found, nothing, strict=True)
    )
