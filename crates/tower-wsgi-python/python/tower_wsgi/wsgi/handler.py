"""`WsgiHandler`: a chain of middleware, the first answer of which wins."""

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
    """Asks each middleware in turn, until one answers.

    A middleware is a WSGI application that may also return ``None``: not mine, ask the next; or a
    `WsgiResponse`, which is sent. If nobody answers, the client gets a 404. When the call of one
    raises an exception, the client gets a page with its status: that of an `HttpException`, or
    500, with the traceback in ``wsgi.errors``.

    Each of ``response_middleware`` is called with the environ and a `WsgiResponse`, edits it, and
    may return another in its place. They see the responses of all applications, and the
    error pages, in the order given here.
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
        """Answer the request; without one, give the handler.

        The latter is for ``WSGIServer(handler())``, which is how pulsar's tutorial has it.
        """
        if environ is None or start_response is None:
            return self
        if not self.response_middleware:
            return self._answer(environ, start_response)
        exchange = Exchange(environ, start_response, self.response_middleware)
        result = self._answer(environ, exchange.start_response)
        try:
            return exchange.respond(result)
        except BaseException:
            close(result)
            raise

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            for middleware in self.middleware:
                result = middleware(environ, start_response)
                if result is not None:
                    return settle(result, environ, start_response)
            raise Http404
        except Exception as error:  # noqa: BLE001 -- the client gets an answer whatever it is
            return _answer_error(environ, start_response, error)


def settle(
    result: Iterable[bytes] | WsgiResponse, environ: WSGIEnvironment, start_response: StartResponse
) -> Iterable[bytes]:
    """Give the body of what a middleware has returned: a response that was not sent yet is sent."""
    kind = type(result)
    if kind is list or kind is tuple:
        return result  # type: ignore[return-value]
    if isinstance(result, WsgiResponse):
        return result(environ, start_response)
    # What can be iterated both ways (Django's streams can) is as good as any iterable.
    only_async = hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__")
    if hasattr(kind, "__await__") or only_async:
        close(result)  # or the interpreter complains of a coroutine that was never awaited
        raise TypeError(
            f"a middleware returned {kind.__name__}, which is asynchronous: a WSGI application "
            "returns an iterable of bytes; serve an asynchronous application with an ASGI server"
        )
    return result


def native_application(application: WSGIApplication) -> WSGIApplication:
    """Give what the server calls: ``application`` without what the server does already.

    A chain of one application takes no longer than the application alone.
    """
    if type(application) is not WsgiHandler or application.response_middleware:
        return application
    chain = [link for link in application.middleware if link is not wait_for_body_middleware]
    if len(chain) != 1:
        return application
    (only,) = chain

    # A chain promises an answer to an exception and to `None`, so this much of it stays.
    def chain_of_one(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            result = only(environ, start_response)
            if result is not None:
                return settle(result, environ, start_response)
            raise Http404
        except Exception as error:  # noqa: BLE001
            return _answer_error(environ, start_response, error)

    return chain_of_one


def _answer_error(
    environ: WSGIEnvironment, start_response: StartResponse, error: Exception
) -> Iterable[bytes]:
    page = error_page(environ, error)
    # If something was sent already, this raises the error again.
    start_response(page.status, page.headers.items(), sys.exc_info())
    return page.content or ()
