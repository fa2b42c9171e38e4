"""Calls of start_response, and when they happen."""

from __future__ import annotations

import gc
import sys
import weakref
from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, application, event, wait

if TYPE_CHECKING:
    from collections.abc import Iterator


class Trouble(Exception):
    pass


def _trouble() -> Any:
    try:
        raise Trouble("in the application")
    except Trouble:
        return sys.exc_info()


@application
def generator(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Calls start_response at the first iteration."""
    start_response("201 Created", [*TEXT, ("X-Lazy", "yes")])
    yield b"one"
    yield b"two"


class Instance:
    """Is called with the request, and is what the class gives."""

    def __init__(self, environ: Any, start_response: Any) -> None:
        self.start_response = start_response
        self.left = [b"one", b"two"]

    def __iter__(self) -> Instance:
        return self

    def __next__(self) -> bytes:
        if len(self.left) == 2:
            self.start_response("201 Created", [*TEXT, ("X-Lazy", "yes")])
        if not self.left:
            raise StopIteration
        return self.left.pop(0)


@application
def instance(environ: Any, start_response: Any) -> Instance:
    return Instance(environ, start_response)


@application
def after_empty(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Calls it in the second iteration; the first gives nothing. Only the validator forbids that."""
    yield b""
    start_response("201 Created", [*TEXT, ("X-Lazy", "yes")])
    yield b"one"
    yield b"two"


@application
def at_the_end(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Has no body at all."""
    start_response("201 Created", [*TEXT, ("X-Lazy", "yes")])
    yield from ()


@application
def restart(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Changes its mind, after it has waited."""
    start_response(
        "200 OK", [*TEXT, ("X-Early", "1"), ("Content-Length", "3"), ("Set-Cookie", "a=b")]
    )
    yield b""
    event(environ, "waits")
    wait(environ)
    yield b""
    start_response("503 Sorry", [("Content-Type", "text/html"), ("X-Late", "2")], _trouble())
    yield b"sorry, "
    yield b"not now"


@application
def restart_in_call(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("X-Early", "1"), ("Content-Length", "3")])
    start_response("503 Sorry", [("Content-Type", "text/html")], _trouble())
    start_response("500 Worse", [("Content-Type", "text/html"), ("X-Late", "2")], _trouble())
    return [b"sorry"]


@application
def restart_as_first(environ: Any, start_response: Any) -> list[bytes]:
    start_response("500 Oops", TEXT, _trouble())
    return [b"sorry"]


@application
def restart_with_none(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT, None)
    return [b"fine"]


@application
def restart_too_late(environ: Any, start_response: Any) -> Iterator[bytes]:
    """The exception comes back, the same one."""
    start_response("200 OK", TEXT)
    yield b"one"
    exc_info = _trouble()
    try:
        start_response("500 Oops", TEXT, exc_info)
    except Trouble as trouble:
        same = trouble is exc_info[1]
        event(environ, f"raised again {same} {trouble.__traceback__ is not None}")
        raise
    yield b"two"


@application
def restart_after_write(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"one")
    try:
        start_response("500 Oops", TEXT, _trouble())
    except Trouble:
        event(environ, "raised again")
        raise
    return [b"two"]


@application
def restart_after_empty_write(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    write(b"")
    start_response("500 Oops", TEXT, _trouble())
    return [b"sorry"]


@application
def twice(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    try:
        start_response("202 Accepted", [*TEXT, ("X-Second", "1")])
    except Exception as error:  # noqa: BLE001 - which one is what the test asks
        return [f"{type(error).__name__}: {error}".encode()]
    return [b"nothing was raised"]


@application
def twice_after_failure(environ: Any, start_response: Any) -> list[bytes]:
    """The first call raises; that, too, was a call."""
    for headers in ([("X-Bad", "a\nb")], "no list", [("X-Bad", 1)]):
        try:
            start_response("200 OK", headers)
        except (TypeError, ValueError):
            event(environ, "refused")
        else:
            event(environ, "taken")
    try:
        start_response("200 OK", TEXT)
    except Exception as error:  # noqa: BLE001 - which one is what the test asks
        text = f"{type(error).__name__}: {error}"
        start_response("200 OK", TEXT, sys.exc_info())
        return [text.encode()]
    return [b"nothing was raised"]


@application
def trapped(environ: Any, start_response: Any) -> list[bytes]:
    """Must not trap what start_response raises, but does."""
    start_response("200 OK", [*TEXT, ("Content-Length", "2")])
    try:
        start_response("500 Oops", [("X-Bad", "a\nb")], _trouble())
    except ValueError:
        event(environ, "refused")
    return [b"it went well"]


@application
def bad_exc_info(environ: Any, start_response: Any) -> list[bytes]:
    told = []
    for exc_info in ("text", (1, 2, 3), (ValueError, ValueError("x")), (None, None, 1)):
        try:
            start_response("500 Oops", TEXT, exc_info)
        except TypeError as error:
            told.append(str(error))
    start_response("200 OK", TEXT, _trouble())
    return ["\n".join(told).encode()]


@application
def keeps_nothing(environ: Any, start_response: Any) -> list[bytes]:
    """Sees whether an exception lives on once it was handed to start_response."""
    gc.disable()
    try:
        start_response("200 OK", TEXT)
        exc_info = _trouble()
        start_response("200 OK", TEXT, exc_info)
        alive = weakref.ref(exc_info[1])
        del exc_info
        return [b"kept" if alive() else b"not kept"]
    finally:
        gc.enable()


@application
def never_started(environ: Any, start_response: Any) -> list[bytes]:
    return [b"hello"]


@application
def started_too_late(environ: Any, start_response: Any) -> Iterator[bytes]:
    yield b"hello"
    start_response("200 OK", TEXT)


@application
def keywords(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT, None)
    return [b"three"]
