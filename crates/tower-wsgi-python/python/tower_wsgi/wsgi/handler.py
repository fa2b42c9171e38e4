"""`WsgiHandler`: a chain of middleware; the first response is sent."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, overload

from tower_wsgi.wsgi.error_page import error_page
from tower_wsgi.wsgi.errors import Http404
from tower_wsgi.wsgi.exchange import Exchange, close
from tower_wsgi.wsgi.middleware import wait_for_body_middleware
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self

    from tower_wsgi.wsgi.exchange import ResponseMiddleware

    Middleware = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes] | WsgiResponse | None]


class WsgiHandler:
    """Calls each middleware in order, until one returns a response.

    A middleware is a WSGI application that may also return ``None``, to pass the request on, or a
    `WsgiResponse`. If all of them return ``None``, the client gets a 404. If a middleware raises an
    exception, the client gets an error response: with the status of an `HttpException`, otherwise
    500, with the traceback in ``wsgi.errors``.

    Each of ``response_middleware`` is called with the environ and a `WsgiResponse`, edits it, and
    may return another one to replace it. They are called in order, for the responses of all
    applications and for error responses.
    """

    def __init__(
        self,
        middleware: Iterable[Middleware] = (),
        response_middleware: Iterable[ResponseMiddleware] = (),
    ) -> None:
        self.middleware = list(middleware or ())
        self.response_middleware = list(response_middleware or ())

    @overload
    def __call__(self) -> Self: ...
    @overload
    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes]: ...
    def __call__(
        self,
        environ: WSGIEnvironment | None = None,
        start_response: StartResponse | None = None,
    ) -> Iterable[bytes] | Self:
        """Handle the request. Without arguments, return the handler.

        The latter is for ``WSGIServer(handler())``, as in pulsar's tutorial.
        """
        if environ is None or start_response is None:
            return self
        if not self.response_middleware:
            return self._respond(environ, start_response)
        exchange = Exchange(environ, start_response, self.response_middleware)
        result = self._respond(environ, exchange.start_response)
        try:
            return exchange.respond(result)
        except BaseException:
            close(result)
            raise

    def _respond(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            for middleware in self.middleware:
                result = middleware(environ, start_response)
                if result is not None:
                    return settle(result, environ, start_response)
            raise Http404
        except Exception as error:  # noqa: BLE001 -- the client gets a response in any case
            return _respond_to_error(environ, start_response, error)


def settle(
    result: Iterable[bytes] | WsgiResponse, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Return the body of a middleware's result, after sending the head of a `WsgiResponse`."""
    kind = type(result)
    if kind is list or kind is tuple:
        return result  # type: ignore[return-value]
    if isinstance(result, WsgiResponse):
        return result(environ, start_response)
    # An object that supports both protocols, such as Django's streams, is a valid iterable.
    only_async = hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__")
    if hasattr(kind, "__await__") or only_async:
        close(result)  # otherwise the interpreter warns about a coroutine that was never awaited
        raise TypeError(
            f"a middleware returned {kind.__name__}, which is asynchronous: a WSGI application "
            "returns an iterable of bytes; serve an asynchronous application with an ASGI server"
        )
    return result


def native_application(application: WSGIApplication) -> WSGIApplication:
    """Return the callable for the server, without middleware that has no effect in the server.

    A chain of one application is as fast as the application alone.
    """
    if type(application) is not WsgiHandler or application.response_middleware:
        return application
    chain = [link for link in application.middleware if link is not wait_for_body_middleware]
    if len(chain) != 1:
        return application
    (only,) = chain

    # An exception and `None` still become responses, as in any chain.
    def chain_of_one(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            result = only(environ, start_response)
            if result is not None:
                return settle(result, environ, start_response)
            raise Http404
        except Exception as error:  # noqa: BLE001
            return _respond_to_error(environ, start_response, error)

    return chain_of_one


def _respond_to_error(
    environ: WSGIEnvironment, start_response: StartResponse, error: Exception
) -> Iterable[bytes]:
    page = error_page(environ, error)
    # If the head has been sent already, this raises the error again.
    start_response(page.status, page.headers.items(), sys.exc_info())
    return page.content or ()
