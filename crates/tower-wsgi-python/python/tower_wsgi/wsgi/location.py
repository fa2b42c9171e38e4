"""Redirects to other paths of the same server."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from tower_wsgi.wsgi.errors import HttpRedirect

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_DELIMITERS = "/:@!$&'()*+,;="


def redirect(environ: WSGIEnvironment, path: str, status: int = 302) -> HttpRedirect:
    """Return the redirect to ``path``, with the query of the request.

    ``path`` begins after ``SCRIPT_NAME``, and consists of decoded bytes as Latin-1, as
    ``PATH_INFO`` (PEP 3333).
    """
    path = environ.get("SCRIPT_NAME", "") + path
    # `//host` would be another server, and `/\host` is one for some clients.
    location = quote(f"/{path.lstrip('/')}".encode("latin-1"), safe=_DELIMITERS)
    if query := environ.get("QUERY_STRING"):
        location += "?" + quote(query.encode("latin-1"), safe=f"{_DELIMITERS}%?~[]")
    return HttpRedirect(location, status)
