"""`WebSocket`: the handshake of a socket with events, as a WSGI middleware."""

from __future__ import annotations

import base64
import binascii
import hashlib
from typing import TYPE_CHECKING, overload
from urllib.parse import urlsplit

from tower_wsgi.ws.handler import methods
from tower_wsgi.ws.protocol import WebSocketProtocol
from tower_wsgi.wsgi.error_page import error_page
from tower_wsgi.wsgi.errors import BadRequest, HttpException, MethodNotAllowed, PermissionDenied
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    from tower_wsgi._native import WebSocketUpgrade


_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


class WebSocket:
    """The path of a WebSocket, and its handler: a middleware for `WsgiHandler`.

    ``route`` is the path. For other paths the result is ``None``, so that the next middleware gets
    the request. A request for this path gets 101, and the events of its socket go to ``handler``;
    or an error response that says what is wrong with the handshake.

    Without ``start_response`` the result is a `WsgiResponse`: for a Django view or middleware. Its
    status and headers must be sent as they are; more headers, such as cookies, may be added.

    ``origins`` are the pages that may open a socket, such as ``["https://example.com"]``; ``"*"``
    allows all. By default only pages of the same host and port may: browsers send cookies to any
    page's socket, so another page could otherwise act for the user. Clients that send no ``Origin``
    are no browsers, and are allowed.

    ``subprotocols`` are those that the handler knows; the first of them that the client offers is
    chosen. A message of more than ``max_message_size`` bytes closes the socket with 1009; more than
    ``max_queued`` bytes that wait to be sent close it with 1013.
    """

    def __init__(
        self,
        route: str,
        handler: object,
        *,
        origins: Iterable[str] = (),
        subprotocols: Iterable[str] = (),
        max_message_size: int = 1 << 20,
        max_queued: int = 4 << 20,
    ) -> None:
        self.route = "/" + route.lstrip("/")
        self.handler = handler
        self.allows_all = origins == "*"
        self.origins = {_origin(origin) for origin in ([] if self.allows_all else origins)}
        self.subprotocols = tuple(subprotocols)
        self.max_message_size = max_message_size
        self.max_queued = max_queued
        self._methods = methods(handler)

    @overload
    def __call__(self, environ: WSGIEnvironment) -> WsgiResponse | None: ...
    @overload
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes] | None: ...
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse | None = None
    ) -> WsgiResponse | Iterable[bytes] | None:
        """Handle the request, if it is for this path."""
        if environ.get("PATH_INFO", "") != self.route:
            return None
        try:
            response = self._open(environ)
        except HttpException as error:
            response = error_page(environ, error)
        return response if start_response is None else response(environ, start_response)

    def _open(self, environ: WSGIEnvironment) -> WsgiResponse:
        key = _check(environ)
        self._check_origin(environ)
        subprotocol = self._choose(environ)
        upgrade: WebSocketUpgrade | None = environ.get("tower_wsgi.websocket")
        if upgrade is None:
            raise HttpException(
                "This server does not offer WebSockets to its applications: serve this one with "
                "tower-wsgi, over HTTP/1.1, and with --websocket-threads above 0."
            )
        websocket = WebSocketProtocol(environ, subprotocol)
        websocket._transport = upgrade.accept(
            websocket, self._methods, self.max_message_size, self.max_queued
        )
        digest = hashlib.sha1((key + _GUID).encode(), usedforsecurity=False).digest()
        headers = [
            ("Upgrade", "websocket"),
            ("Connection", "Upgrade"),
            ("Sec-WebSocket-Accept", base64.b64encode(digest).decode()),
        ]
        if subprotocol is not None:
            headers.append(("Sec-WebSocket-Protocol", subprotocol))
        return WsgiResponse(101, response_headers=headers)

    def _check_origin(self, environ: WSGIEnvironment) -> None:
        origin: str | None = environ.get("HTTP_ORIGIN")
        if origin is None or self.allows_all:
            return
        try:
            found = _origin(origin)
        except ValueError:
            found = ("", "", None)
        if self.origins:
            allowed = found in self.origins
        else:
            scheme, *place = found
            # The scheme may be that of a proxy.
            allowed = bool(scheme) and place == list(_host(scheme, environ.get("HTTP_HOST", "")))
        if not allowed:
            raise PermissionDenied(f"Pages of {origin} may not open this WebSocket.")

    def _choose(self, environ: WSGIEnvironment) -> str | None:
        offered = _tokens(environ.get("HTTP_SEC_WEBSOCKET_PROTOCOL", ""))
        return next((name for name in self.subprotocols if name in offered), None)


def _check(environ: WSGIEnvironment) -> str:
    """Check the handshake (RFC 6455 section 4.2.1); return its key."""
    if environ["REQUEST_METHOD"] != "GET":
        raise MethodNotAllowed(
            "A WebSocket is opened by a GET request.", headers=[("Allow", "GET")]
        )
    if "websocket" not in _tokens(environ.get("HTTP_UPGRADE", "").lower()):
        raise BadRequest("This is a WebSocket: the request needs the header Upgrade: websocket.")
    if "upgrade" not in _tokens(environ.get("HTTP_CONNECTION", "").lower()):
        raise BadRequest("A WebSocket request needs the header Connection: Upgrade.")
    version = environ.get("HTTP_SEC_WEBSOCKET_VERSION")
    if version != "13":
        asked = "none" if version is None else version
        raise HttpException(
            f"The version of the WebSocket protocol must be 13; the request has {asked}.",
            426,
            headers=[("Sec-WebSocket-Version", "13")],
        )
    key: str = environ.get("HTTP_SEC_WEBSOCKET_KEY", "")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise BadRequest("The header Sec-WebSocket-Key must be 16 bytes in base64.")
    return key


def _tokens(value: str) -> list[str]:
    return [token.strip() for token in value.split(",")]


def _origin(origin: str) -> tuple[str, str, int | None]:
    """The scheme, host and port of an origin."""
    scheme, separator, place = origin.strip().lower().rstrip("/").partition("://")
    if not separator or "/" in place:
        raise ValueError(f"{origin!r} is not an origin, such as https://example.com")
    return (scheme, *_host(scheme, place))


def _host(scheme: str, place: str) -> tuple[str, int | None]:
    parts = urlsplit(f"//{place}")
    return parts.hostname or "", parts.port or _PORTS.get(scheme)
