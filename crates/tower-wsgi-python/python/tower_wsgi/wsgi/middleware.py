"""Request middleware: WSGI callables that give ``None`` when the request is not theirs."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote

from tower_wsgi.wsgi.errors import HttpRedirect

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment


def wait_for_body_middleware(
    environ: WSGIEnvironment,
    start_response: StartResponse | None = None,
) -> None:
    """Say that what comes after this needs the whole body.

    It does nothing: the server waits for the body before it calls the application, always. A
    slow upload holds no thread, and the body is in memory or in a temporary file.
    """


def middleware_in_executor(middleware: WSGIApplication) -> WSGIApplication:
    """Say that ``middleware`` blocks; gives it back.

    The server calls every application on a thread of its pool, and iterates and closes its
    response there, too. How many threads there are says the option ``--thread-workers``.
    """
    return middleware


def clean_path_middleware(
    environ: WSGIEnvironment,
    start_response: StartResponse | None = None,
) -> None:
    """Redirect a path with doubled slashes to the one without them.

    ``//news///today?page=1`` raises an `HttpRedirect` to ``/news/today?page=1``, which
    `WsgiHandler` answers with 302.
    """
    path: str = environ.get("PATH_INFO", "")
    if "//" not in path:
        return
    # The variables hold the decoded bytes of the path as latin-1: PEP 3333.
    path = environ.get("SCRIPT_NAME", "") + re.sub("/+", "/", f"/{path}")
    location = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~")
    if query := environ.get("QUERY_STRING"):
        location += f"?{query}"
    raise HttpRedirect(location)
