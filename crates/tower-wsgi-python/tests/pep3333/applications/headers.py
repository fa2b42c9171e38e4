"""Statuses and headers, as a test wants them."""

from __future__ import annotations

import ast
import sys
from typing import Any

from pep3333.applications.registry import TEXT, application


@application
def status(environ: Any, start_response: Any) -> list[bytes]:
    start_response(ast.literal_eval(environ["HTTP_X_STATUS"]), [*TEXT])
    return [b"body"]


@application
def headers(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", ast.literal_eval(environ["HTTP_X_HEADERS"]))
    return [b"body"]


@application
def refused(environ: Any, start_response: Any) -> list[bytes]:
    """Tells which error start_response raises, while the application still runs."""
    status = ast.literal_eval(environ.get("HTTP_X_STATUS", "'200 OK'"))
    headers = ast.literal_eval(environ.get("HTTP_X_HEADERS", "[]"))
    try:
        start_response(status, headers)
    except Exception as error:  # noqa: BLE001 - which one is what the test asks
        told = f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace")
        start_response("200 OK", [*TEXT], sys.exc_info())
        return [told]
    return [b"nothing was raised"]


@application
def given(environ: Any, start_response: Any) -> list[bytes]:
    """Starts as the test says; the test sees what was sent."""
    status = ast.literal_eval(environ.get("HTTP_X_STATUS", "'200 OK'"))
    headers = ast.literal_eval(environ.get("HTTP_X_HEADERS", "[]"))
    shape = environ.get("HTTP_X_SHAPE", "as it is")
    shapes: dict[str, Any] = {
        "as it is": lambda: headers,
        "items": lambda: dict(headers).items(),
        "generator": lambda: (pair for pair in headers),
        "keywords": lambda: headers,
    }
    if shape == "keywords":
        start_response(status=status, headers=shapes[shape](), exc_info=None)
    else:
        start_response(status, shapes[shape]())
    return [b"given"]


@application
def replaced(environ: Any, start_response: Any) -> list[bytes]:
    """Starts again with an `exc_info` that is empty."""
    start_response("200 OK", TEXT)
    start_response("503 Sorry", TEXT, (None, None, None))
    return [b"replaced"]


class Headers(list):  # type: ignore[type-arg]
    pass


@application
def list_subclass(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", Headers(TEXT))
    return [b"body"]


@application
def changed_later(environ: Any, start_response: Any) -> list[bytes]:
    headers = [*TEXT, ("X-First", "1")]
    start_response("200 OK", headers)
    headers[1] = ("X-Second", "a\r\nb")
    headers.append(("X-Third", "3"))
    return [b"body"]
