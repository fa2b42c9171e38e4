"""The response to an exception, in the format that the client accepts."""

from __future__ import annotations

import traceback
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING

from tower_wsgi._native import render_response
from tower_wsgi.wsgi.errors import HttpException
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MESSAGES = {
    404: "Cannot find what you are looking for.",
    500: "An exception has occurred while evaluating your request.",
}


def error_page(environ: WSGIEnvironment, error: Exception) -> WsgiResponse:
    """Return the response to ``error``.

    An `HttpException` has its own status. The response to any other exception is a 500 without
    details. For a status of 500 or more the traceback goes to ``wsgi.errors``.
    """
    response = WsgiResponse(500)
    message = ""
    if isinstance(error, HttpException):
        response.status_code = error.status
        message = str(error)
        for name, value in error.headers:
            response.headers.add_header(name, value)
    code = response.status_code
    if code >= 500:
        log_exception(environ, error)
    if code in (204, 304):
        return response
    if code < 400:
        # A redirect consists of its headers.
        response.headers["Content-Type"] = "text/plain"
        response.headers["Content-Length"] = "0"
        return response
    message = message or _MESSAGES.get(code) or _description(code)
    content_type, page = render_response(code, message, environ.get("HTTP_ACCEPT", ""))
    response.headers["Content-Type"] = content_type
    response.headers.add_header("Vary", "Accept")
    response.headers["Content-Length"] = str(len(page))
    response.content = [page] if environ["REQUEST_METHOD"] != "HEAD" else []
    return response


def log_exception(environ: WSGIEnvironment, error: BaseException) -> None:
    """Write the traceback to ``wsgi.errors``."""
    # The client gets a response even if the log cannot be written.
    with suppress(OSError, ValueError):
        traceback.print_exception(error, file=environ["wsgi.errors"])


def _description(code: int) -> str:
    try:
        status = HTTPStatus(code)
    except ValueError:
        return ""
    return f"{status.description or status.phrase}."
