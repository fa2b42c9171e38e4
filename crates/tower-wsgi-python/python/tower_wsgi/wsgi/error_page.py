"""The page for an exception, in the form that the client accepts."""

from __future__ import annotations

import json
import traceback
from contextlib import suppress
from html import escape
from http import HTTPStatus
from typing import TYPE_CHECKING

from tower_wsgi.wsgi.accept import best_type
from tower_wsgi.wsgi.errors import HttpException
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_MESSAGES = {
    404: "Cannot find what you are looking for.",
    500: "An exception has occurred while evaluating your request.",
}


def error_page(environ: WSGIEnvironment, error: Exception) -> WsgiResponse:
    """Give the response for ``error``.

    An `HttpException` has its own status; any other is a 500 that tells the client nothing. The
    traceback of what is the server's fault goes to ``wsgi.errors``.
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
        # A log that cannot be written costs nobody the answer.
        with suppress(OSError, ValueError):
            traceback.print_exception(error, file=environ["wsgi.errors"])
    if code in (204, 304):
        return response
    if code < 400:
        # A redirect says all that it has to say in its headers.
        response.headers["Content-Type"] = "text/plain"
        response.headers["Content-Length"] = "0"
        return response
    content_type = best_type(environ.get("HTTP_ACCEPT", ""), list(_FORMS))
    reason = response.status[4:]
    message = message or _MESSAGES.get(code) or _description(code)
    page = _FORMS[content_type](code, reason, message).encode()
    charset = "" if content_type == "application/json" else "; charset=utf-8"
    response.headers["Content-Type"] = content_type + charset
    response.headers.add_header("Vary", "Accept")
    response.headers["Content-Length"] = str(len(page))
    response.content = [page] if environ["REQUEST_METHOD"] != "HEAD" else []
    return response


def _description(code: int) -> str:
    try:
        status = HTTPStatus(code)
    except ValueError:
        return ""
    return f"{status.description or status.phrase}."


def _text(code: int, reason: str, message: str) -> str:
    return f"{code} {reason}\n{message}\n"


def _html(code: int, reason: str, message: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{code} {reason}</title>\n<h1>{code} {reason}</h1>\n<p>{escape(message)}</p>\n"
        "</html>\n"
    )


def _json(code: int, reason: str, message: str) -> str:
    return json.dumps({"status": code, "error": reason, "message": message}) + "\n"


# The first is for clients that do not care.
_FORMS = {"text/plain": _text, "text/html": _html, "application/json": _json}
