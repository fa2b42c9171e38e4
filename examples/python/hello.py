"""A minimal application.

Run it with the command; the default name of the callable is ``application``:

    tower-wsgi hello --workers 4

or as a script, with the same options:

    python hello.py --workers 4 --thread-workers 10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Greet the name in the path."""
    # The variables contain the bytes of the request as Latin-1 (PEP 3333).
    name = environ["PATH_INFO"].strip("/") or "World"
    page = b"Hello " + name.encode("latin-1") + b"!\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(page)))]
    start_response("200 OK", headers)
    return [page]


if __name__ == "__main__":
    wsgi.WSGIServer(application, description="Says hello").start()
