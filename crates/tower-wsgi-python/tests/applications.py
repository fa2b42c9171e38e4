"""Applications for `tests/app.rs`."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_local = threading.local()

not_callable = 7


def where(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Tells where it is called."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    names = ["SCRIPT_NAME", "PATH_INFO", "wsgi.multithread", "wsgi.multiprocess"]
    return [repr([environ[name] for name in names]).encode()]


def raises(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Fails before its first byte."""
    raise LookupError("nothing is here")


def breaks(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Fails after its first byte."""
    start_response("200 OK", [])
    yield b"half"
    raise LookupError("nothing more is here")


def counts(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Counts the calls of its thread."""
    _local.calls = getattr(_local, "calls", 0) + 1
    start_response("200 OK", [])
    return [f"{threading.get_ident()} {_local.calls}".encode()]


def sleeps(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Waits as long as the query says, in seconds."""
    time.sleep(float(environ["QUERY_STRING"]))
    start_response("200 OK", [])
    return [b"slept"]


def create(name: str, *, shout: bool = False) -> WSGIApplication:
    """Makes an application that tells its name."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [])
        return [(name.upper() if shout else name).encode()]

    return application


def fails() -> WSGIApplication:
    """Cannot make an application."""
    raise LookupError("nothing to make it of")


class Shelf:
    """Where an application may lie, too."""

    application = staticmethod(where)
