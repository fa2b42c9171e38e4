"""`WsgiHandler`: a chain of middleware; the first response is sent."""

from __future__ import annotations

import inspect
import sys
from typing import TYPE_CHECKING, overload

from tower_wsgi.wsgi.awaitables import Later, close, is_awaitable, resolve
from tower_wsgi.wsgi.error_page import error_page
from tower_wsgi.wsgi.errors import Http404
from tower_wsgi.wsgi.exchange import Exchange
from tower_wsgi.wsgi.middleware import call_link, wait_for_body_middleware
from tower_wsgi.wsgi.response import WsgiResponse
from tower_wsgi.wsgi.router import Router

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self

    from tower_wsgi.wsgi.exchange import ResponseMiddleware

    Result = Iterable[bytes | Awaitable[bytes]] | AsyncIterable[bytes] | WsgiResponse | None
    Middleware = Callable[[WSGIEnvironment, StartResponse], Result | Awaitable[Result]]


class WsgiHandler:
    """Calls each middleware in order, until one returns a response.

    A middleware is a WSGI application that may also return ``None``, to pass the request on, or a
    `WsgiResponse`. If all of them return ``None``, the client gets a 404. If a middleware raises an
    exception, the client gets an error response: with the status of an `HttpException`, otherwise
    500, with the traceback in ``wsgi.errors``.

    Each of ``response_middleware`` is called with the environ and a `WsgiResponse`, edits it, and
    may return another one to replace it. They are called in order, for the responses of all
    applications and for error responses.

    Both may be ``async def``, or return an awaitable. The rest of the chain then runs on the event
    loop of the process, and the call of the handler returns an awaitable, which only this server
    takes. A middleware that blocks belongs in `middleware_in_executor` there. An asynchronous
    response middleware cannot edit a response that is sent by the function that
    ``start_response`` returns.
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
        links = iter(self.middleware)
        try:
            for middleware in links:
                result = middleware(environ, start_response)
                if result is not None:
                    return settle(result, environ, start_response, links)
            raise Http404
        except Exception as error:  # noqa: BLE001 -- the client gets a response in any case
            return _respond_to_error(environ, start_response, error)


def settle(
    result: object,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    links: Iterator[Middleware],
) -> Iterable[bytes]:
    """Return the body of a middleware's result, after sending the head of a `WsgiResponse`.

    If the result is awaitable, so is the body: it awaits the result, and calls the other ``links``
    if that is ``None``.
    """
    kind = type(result)
    if kind is list or kind is tuple:
        return result  # type: ignore[return-value]
    if isinstance(result, WsgiResponse):
        return result(environ, start_response)
    if is_awaitable(result):
        later = _respond_later(result, environ, start_response, links)
        return Later(later, result)  # type: ignore[return-value]
    return result  # type: ignore[return-value]


async def _respond_later(
    result: object,
    environ: WSGIEnvironment,
    start_response: StartResponse,
    links: Iterator[Middleware],
) -> Iterable[bytes]:
    try:
        result = await resolve(result)
        while result is None:
            middleware = next(links, None)
            if middleware is None:
                raise Http404
            result = await resolve(await call_link(middleware, environ, start_response))
        return settle(result, environ, start_response, links)
    except Exception as error:  # noqa: BLE001
        return _respond_to_error(environ, start_response, error)


def native_application(application: WSGIApplication) -> WSGIApplication:
    """Return the callable for the server, without middleware that has no effect in the server.

    A chain of one application is as fast as the application alone. A chain that begins with a
    coroutine function is one, so that the server needs no thread to call it.
    """
    if isinstance(application, Router):
        application = WsgiHandler([application])
    if type(application) is not WsgiHandler:
        return application
    chain = [link for link in application.middleware if link is not wait_for_body_middleware]
    if chain and _is_coroutine_function(chain[0]):
        return _coroutine_function(application)
    if len(chain) != 1 or application.response_middleware:
        return application
    (only,) = chain

    # An exception and `None` still become responses, as in any chain.
    def chain_of_one(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            result = only(environ, start_response)
            if result is not None:
                return settle(result, environ, start_response, iter(()))
            raise Http404
        except Exception as error:  # noqa: BLE001
            return _respond_to_error(environ, start_response, error)

    return chain_of_one


def _coroutine_function(handler: WsgiHandler) -> WSGIApplication:
    async def chain(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return await resolve(handler(environ, start_response))

    return chain  # type: ignore[return-value]


def _is_coroutine_function(link: Middleware) -> bool:
    call = type(link).__call__
    return inspect.iscoroutinefunction(link) or inspect.iscoroutinefunction(call)


def _respond_to_error(
    environ: WSGIEnvironment, start_response: StartResponse, error: Exception
) -> Iterable[bytes]:
    if isinstance(error, StopIteration) and "gunicorn.socket" in environ:
        # So a WebSocket library tells the server that it has used the socket.
        raise error
    page = error_page(environ, error)
    # If the head has been sent already, this raises the error again.
    start_response(page.status, page.get_headers(), sys.exc_info())
    return page.content or ()
