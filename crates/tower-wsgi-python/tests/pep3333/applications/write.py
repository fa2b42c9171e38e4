"""The imperative interface."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, Closing, application, event, wait

if TYPE_CHECKING:
    from collections.abc import Iterator


@application
def write_only(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    results = [write(b"one "), write(b""), write(b"two ")]
    write(repr(results).encode())
    return []


@application
def write_and_return(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", TEXT)
    write(b"one ")
    write(b"two ")
    return Closing(environ, [b"", b"three ", b"", b"four"])


@application
def write_and_wait(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", TEXT)
    for chunk in (b"one", b"two", b"three"):
        write(chunk)
        wait(environ)
    return [b"four"]


@application
def write_and_stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Writes in the call, then gives chunks one by one."""
    start_response("200 OK", TEXT)(b"one")

    def rest() -> Iterator[bytes]:
        wait(environ)
        yield b"two"
        wait(environ)
        yield b"three"

    return rest()


@application
def write_with_length(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "6")])
    write(b"abc")
    return [b"def"]


@application
def write_too_much(environ: Any, start_response: Any) -> list[bytes]:
    write = start_response("200 OK", [*TEXT, ("Content-Length", "4")])
    write(b"abc")
    for chunk in (b"def", b"ghi"):
        try:
            write(chunk)
        except Exception as error:  # noqa: BLE001 - which one is what the test asks
            event(environ, f"{type(error).__name__}: {error}")
    event(environ, "done")
    return [b"jkl"]


@application
def write_too_little(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "10")])(b"abc")
    return Closing(environ, [b"def"])  # type: ignore[return-value]


@application
def write_leniently(environ: Any, start_response: Any) -> list[bytes]:
    """As old applications do it: a bytearray, and pulsar's `force`."""
    write = start_response("200 OK", TEXT)
    data = bytearray(b"one ")
    told = []
    for arguments in ({}, {"force": True}, {"force": False}):
        try:
            write(data, **arguments)
        except TypeError as error:
            told.append(str(error))
        data[:] = b"two "
    write("\n".join(told).encode())
    return []


@application
def write_other(environ: Any, start_response: Any) -> list[bytes]:
    """What is no bytestring is refused, and nothing is sent."""
    write = start_response("200 OK", TEXT)
    told = []
    for data in ("text", memoryview(b"x"), None, 1, [b"x"]):
        try:
            write(data)
        except TypeError as error:
            told.append(str(error))
    write("\n".join(told).encode())
    return []


@application
def write_and_raise(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)(b"one")
    raise LookupError("after a write")


@application
def write_to_nobody(environ: Any, start_response: Any) -> list[bytes]:
    """Writes until that fails."""
    write = start_response("200 OK", TEXT)
    event(environ, "called")
    wait(environ)
    try:
        # No client takes a gigabyte that is not there.
        for _ in range(16384):
            write(b"x" * 65536)
    except OSError as error:
        event(environ, f"{type(error).__name__}: {error}")
        raise
    return []


@application
def write_without_body(environ: Any, start_response: Any) -> list[bytes]:
    """For HEAD, and for statuses that have no body."""
    status = environ.get("HTTP_X_STATUS", "200 OK")
    write = start_response(status, [] if status[:3] in ("204", "304") else TEXT)
    write(b"one")
    event(environ, "written")
    return [b"two"]
