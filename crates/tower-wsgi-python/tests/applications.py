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


def switches(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Takes the connection as a WebSocket library does, and sends back what it receives."""
    path = environ["PATH_INFO"]
    if path == "/no":
        start_response("403 Forbidden", [("Content-Length", "0")])
        return []
    socket = environ.get("gunicorn.socket")
    if socket is None:
        start_response("200 OK", [])
        return [b"no socket"]
    if path == "/wrong":
        socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    elif path == "/half":
        socket.sendall(b"HTTP/1.1 101 Switching")
    else:
        head = b"HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\n\r\n"
        socket.send(head + b"first")
        while data := socket.recv(4096):
            assert socket.send(data) == len(data)
        socket.send(b"last")
    # As a library does that expects gunicorn.
    raise StopIteration
