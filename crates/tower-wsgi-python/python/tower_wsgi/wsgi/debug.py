"""What pulsar offers to look at requests and exceptions."""

from __future__ import annotations

import html
import traceback
from typing import TYPE_CHECKING

from tower_wsgi.wsgi.error_page import error_page

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIEnvironment

    from tower_wsgi.wsgi.request import WsgiRequest
    from tower_wsgi.wsgi.response import WsgiResponse

    ExcInfo = tuple[type[BaseException], BaseException, TracebackType]

_SECRETS = ("HTTP_COOKIE", "HTTP_AUTHORIZATION", "HTTP_PROXY_AUTHORIZATION")


def handle_wsgi_error(environ: WSGIEnvironment, error: Exception | ExcInfo) -> WsgiResponse:
    """Return the response to an exception, as `WsgiHandler` does."""
    exception = error[1] if isinstance(error, tuple) else error
    if not isinstance(exception, Exception):
        # As SystemExit: it is not for a client.
        raise exception
    return error_page(environ, exception)


def render_error_debug(request: WsgiRequest, exception: Exception, is_html: bool = False) -> str:
    """Return the traceback, for a page while an application is developed.

    It reveals the code and its data: only the log may have it in production.
    """
    text = "".join(traceback.format_exception(exception))
    return f"<pre>{html.escape(text)}</pre>" if is_html else text


def dump_environ(environ: WSGIEnvironment) -> str:
    """Return the environ as text, a line for each variable, without passwords and cookies."""
    return "\n".join(
        f"{key}: {'***' if key in _SECRETS else value!r}" for key, value in sorted(environ.items())
    )
