"""`Endpoint`: what a router does with a request whose path matches its rule."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from tower_wsgi.wsgi.awaitables import Later, is_awaitable, resolve
from tower_wsgi.wsgi.errors import HttpException
from tower_wsgi.wsgi.request import wsgi_request
from tower_wsgi.wsgi.response import WsgiResponse
from tower_wsgi.wsgi.route import METHODS

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from _typeshed.wsgi import WSGIEnvironment

    from tower_wsgi.wsgi.request import WsgiRequest
    from tower_wsgi.wsgi.router import Router

    Handler = Callable[[WsgiRequest], object]
    Response = WsgiResponse | Awaitable[WsgiResponse | None] | None


class SkipRoute(Exception):
    """A handler raises it to pass the request on to the next middleware."""


class Endpoint:
    """A router, and its handler for each HTTP method."""

    __slots__ = ("_content_types", "handlers", "router")

    def __init__(self, router: Router) -> None:
        self.router = router
        self.handlers: dict[str, Handler] = {}
        self._content_types: tuple[str, ...] = tuple(router.response_content_types or ())
        wrapper = router.response_wrapper
        for name in METHODS:
            handler = getattr(router, name, None)
            if handler is not None:
                self.handlers[name.upper()] = partial(wrapper, handler) if wrapper else handler
        if "GET" in self.handlers:
            self.handlers.setdefault("HEAD", self.handlers["GET"])

    @property
    def methods(self) -> set[str]:
        """The HTTP methods that it handles, if it handles any."""
        return {*self.handlers, "OPTIONS"}

    def call(
        self, handler: Handler, environ: WSGIEnvironment, urlargs: Mapping[str, Any]
    ) -> Response:
        """Call a handler, and return its response, or what awaits it."""
        request = wsgi_request(environ, self.router, urlargs)
        chosen = self._negotiate(request) if self._content_types else None
        try:
            result = handler(request)
        except SkipRoute:
            return None
        if is_awaitable(result):
            return Later(self._respond_later(chosen, result), result)
        return self._respond(chosen, result)

    def _negotiate(self, request: WsgiRequest) -> str:
        """Return the content type that the client likes best."""
        best: str | None = request.content_types.best_match(self._content_types)
        if best is None:
            types = ", ".join(self._content_types)
            raise HttpException(f"This resource is available as {types}.", 406)
        request.response.content_type = best
        return best

    async def _respond_later(self, chosen: str | None, result: object) -> WsgiResponse | None:
        try:
            result = await resolve(result)
        except SkipRoute:
            return None
        return self._respond(chosen, result)

    def _respond(self, chosen: str | None, result: Any) -> WsgiResponse | None:  # noqa: ANN401
        if result is None:
            return None
        if isinstance(result, WsgiResponse):
            response = result
        elif _is_content(result):
            response = WsgiResponse(200, result, content_type=chosen)
        else:
            raise TypeError(
                f"a handler of the router {self.router} returned {type(result).__name__}: it must "
                "return a WsgiResponse, text, bytes, an iterable of bytes, or None"
            )
        if chosen is not None:
            response.headers.setdefault("Content-Type", chosen)
            if len(self._content_types) > 1:
                response.headers.add_header("Vary", "Accept")
        return response


def _is_content(result: object) -> bool:
    kind = type(result)
    iterable = hasattr(kind, "__iter__") or hasattr(kind, "__aiter__")
    return iterable and not isinstance(result, Mapping)
