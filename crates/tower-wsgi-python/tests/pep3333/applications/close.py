"""What is closed, and when."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, Closing, application, event, wait

if TYPE_CHECKING:
    from collections.abc import Iterator


@application
def closing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return Closing(environ, [b"one", b"two"])


@application
def closing_nothing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return Closing(environ, [])


@application
def closing_status(environ: Any, start_response: Any) -> Any:
    start_response(environ["HTTP_X_STATUS"], [])
    return Closing(environ, [b"one", b"two"])


@application
def closing_wrong(environ: Any, start_response: Any) -> Any:
    """Gives a chunk that is none."""
    start_response("200 OK", TEXT)
    return Closing(environ, [b"one", "two"] if "HTTP_X_LATER" in environ else ["one"])


@application
def closing_unstarted(environ: Any, start_response: Any) -> Any:
    return Closing(environ, [b"one", b"two"])


class NoIterator(Closing):
    def __iter__(self) -> Any:
        raise LookupError("in __iter__")


class NotIterable:
    """Has a close, and nothing to iterate over."""

    def __init__(self, environ: Any) -> None:
        self.environ = environ

    def close(self) -> None:
        event(self.environ, "closed")


@application
def closing_no_iterator(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return NoIterator(environ, [])


@application
def closing_not_iterable(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return NotIterable(environ)


class ClosingList(list):  # type: ignore[type-arg]
    """A list with a close, as some frameworks have."""

    environ: Any = None

    def close(self) -> None:
        event(self.environ, "closed")


class ClosingTuple(tuple):  # type: ignore[type-arg]
    environ: Any = None

    def close(self) -> None:
        event(self.environ, "closed")


@application
def closing_sequence(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    kind = {"list": ClosingList, "tuple": ClosingTuple}[environ["HTTP_X_SHAPE"]]
    sequence = kind([b"one"])
    sequence.environ = environ
    return sequence


@application
def closing_generator(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", TEXT)
    try:
        yield b"one"
        yield b"two"
    finally:
        event(environ, "finally")


@application
def endless(environ: Any, start_response: Any) -> Any:
    """Gives chunks until it is closed."""
    start_response("200 OK", TEXT)

    def chunks() -> Iterator[bytes]:
        while True:
            yield b"x" * 65536

    return Closing(environ, chunks())


class ClosingBadly(Closing):
    def close(self) -> None:
        super().close()
        raise LookupError(f"in close of {self.environ['HTTP_X_KEY']}")


@application
def closing_badly(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return ClosingBadly(environ, [b"one", b"two"])


@application
def waits(environ: Any, start_response: Any) -> Any:
    """Holds its thread until the test opens the gate."""
    event(environ, "waits")
    wait(environ)
    start_response("200 OK", TEXT)
    return Closing(environ, [b"waited"])


@application
def tells(environ: Any, start_response: Any) -> Any:
    event(environ, "called")
    start_response("200 OK", TEXT)
    return Closing(environ, [b"recorded"])


@application
def mark(environ: Any, start_response: Any) -> Any:
    """Records that everything before it was recorded."""
    event(environ, "marked")
    start_response("200 OK", TEXT)
    return [b"marked"]


class WaitsInClose(Closing):
    def close(self) -> None:
        wait(self.environ)
        super().close()


@application
def slow_to_close(environ: Any, start_response: Any) -> Any:
    """The client need not wait for its close."""
    start_response("200 OK", TEXT)
    return WaitsInClose(environ, [b"one", b"two"])
