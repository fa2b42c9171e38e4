"""Applications that fail."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, Closing, application

if TYPE_CHECKING:
    from collections.abc import Iterator

ERRORS: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (
        ValueError,
        RuntimeError,
        OSError,
        BrokenPipeError,
        MemoryError,
        SystemExit,
        KeyboardInterrupt,
    )
}


@application
def fails_in_call(environ: Any, start_response: Any) -> list[bytes]:
    raise ERRORS[environ["HTTP_X_ERROR"]](f"raised for {environ['HTTP_X_KEY']}")


@application
def fails_after_start(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "5")])
    raise ERRORS[environ["HTTP_X_ERROR"]](f"raised for {environ['HTTP_X_KEY']}")


@application
def fails_at_first(environ: Any, start_response: Any) -> Any:
    """Before anything was given; what was given first is empty."""
    start_response("200 OK", TEXT)

    def chunks() -> Iterator[bytes]:
        yield b""
        raise ERRORS[environ["HTTP_X_ERROR"]](f"raised for {environ['HTTP_X_KEY']}")

    return Closing(environ, chunks())


@application
def fails_later(environ: Any, start_response: Any) -> Any:
    headers = [("Content-Length", environ["HTTP_X_LENGTH"])] if "HTTP_X_LENGTH" in environ else []
    start_response("200 OK", [*TEXT, *headers])

    def chunks() -> Iterator[bytes]:
        yield b"one"
        raise ERRORS[environ["HTTP_X_ERROR"]](f"raised for {environ['HTTP_X_KEY']}")

    return Closing(environ, chunks())


class BadIterator:
    def __iter__(self) -> Any:
        raise LookupError("in __iter__")

    def close(self) -> None:
        pass


class Changing(list):  # type: ignore[type-arg]
    pass


def _future() -> asyncio.Future[None]:
    """One that is done: iterated, it is empty."""
    loop = asyncio.new_event_loop()
    try:
        future = loop.create_future()
        future.set_result(None)
        return future
    finally:
        loop.close()


class Awaitable:
    """One that is an iterable, too."""

    def __await__(self) -> Iterator[bytes]:
        yield b"hello"

    __iter__ = __await__


@application
def gives(environ: Any, start_response: Any) -> Any:
    """Gives what no application may."""
    start_response("200 OK", TEXT)

    async def piece() -> bytes:
        return b"hello"

    made: dict[str, Any] = {
        "coroutine": piece,
        "future": _future,
    }
    if (kind := environ["HTTP_X_WRONG"]) in made:
        return made[kind]()
    wrong: dict[str, Any] = {
        "awaitable": Awaitable(),
        "application": gives,
        "str": "hello",
        "bytes": b"hello",
        "none": None,
        "int": 7,
        "list of str": ["hello"],
        "list of none": [None],
        "list of bytearray": [bytearray(b"hello")],
        "list of memoryview": [memoryview(b"hello")],
        "list of int": [1],
        "generator of str": (chunk for chunk in ["hello"]),
        "bad iterator": BadIterator(),
        "later str": [b"one", "two"],
        "later none": (chunk for chunk in [b"one", None]),
    }
    return wrong[environ["HTTP_X_WRONG"]]
