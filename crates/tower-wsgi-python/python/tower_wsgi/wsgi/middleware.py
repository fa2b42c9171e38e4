"""Request middleware: WSGI callables that return ``None`` to pass the request on."""

from __future__ import annotations

import asyncio
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from tower_wsgi.wsgi.authorization import authorization_middleware
from tower_wsgi.wsgi.location import redirect

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

# Those of pulsar's module.
__all__ = [
    "authorization_middleware",
    "clean_path_middleware",
    "middleware_in_executor",
    "wait_for_body_middleware",
]

_blocking: WeakSet[Any] = WeakSet()
"""What `middleware_in_executor` was called with."""


def wait_for_body_middleware(
    environ: WSGIEnvironment,
    start_response: StartResponse | None = None,
) -> None:
    """Declare that the following middleware needs the whole body. It has no effect.

    The server always waits for the body before it calls the application. A slow upload does not
    occupy a thread; the body is kept in memory or in a temporary file.
    """


def middleware_in_executor(middleware: WSGIApplication) -> WSGIApplication:
    """Declare that ``middleware`` blocks, and return it.

    The server calls every application on a thread of its pool, and iterates over its response and
    closes it there too. The option ``--thread-workers`` sets the number of threads. Only behind an
    asynchronous middleware, where the chain runs on the event loop, it has an effect: there
    ``middleware`` is called on another thread.
    """
    with suppress(TypeError):  # an object that cannot be referred to
        _blocking.add(middleware)
    return middleware


async def call_link(
    middleware: Callable[[WSGIEnvironment, StartResponse], object],
    environ: WSGIEnvironment,
    start_response: StartResponse,
) -> object:
    """Call a middleware on the event loop, or on another thread if it blocks."""
    try:
        blocks = middleware in _blocking
    except TypeError:
        blocks = False
    if blocks:
        return await asyncio.to_thread(middleware, environ, start_response)
    return middleware(environ, start_response)


def clean_path_middleware(
    environ: WSGIEnvironment,
    start_response: StartResponse | None = None,
) -> None:
    """Redirect a path with doubled slashes to the one without them.

    ``//news///today?page=1`` raises an `HttpRedirect` to ``/news/today?page=1``, which
    `WsgiHandler` turns into a response with status 302.
    """
    path: str = environ.get("PATH_INFO", "")
    if "//" not in path:
        return
    raise redirect(environ, re.sub("/+", "/", f"/{path}"))
