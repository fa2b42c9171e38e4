"""The smallest application.

Run it with the command, which finds ``application`` by itself:

    tower-wsgi hello --workers 4

or with any options of its own:

    python hello.py --workers 4 --thread-workers 10
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Say hello to whom the path names."""
    # The variables hold the bytes of the request as latin-1 (PEP 3333).
    name = environ["PATH_INFO"].strip("/") or "World"
    page = b"Hello " + name.encode("latin-1") + b"!\n"
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(page)))]
    start_response("200 OK", headers)
    return [page]


if __name__ == "__main__":
    wsgi.WSGIServer(application, description="Says hello").start()
