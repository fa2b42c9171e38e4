"""The same application, with asynchronous ones beside it, which count their calls and closes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stress import application as plain
from stress.application import TEXT, Closing, count
from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator


# The load expects the same number of bytes each time, and pieces may be sent together.
HELLO = [*TEXT, ("Content-Length", "5")]
HELLO_WORLD = [*TEXT, ("Content-Length", "12")]


class ClosingLater:
    def __init__(self, pieces: AsyncIterator[bytes]) -> None:
        self.pieces = pieces

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.pieces

    async def aclose(self) -> None:
        await self.pieces.aclose()  # type: ignore[attr-defined]
        count("closes")


async def coroutine(environ: Any, start_response: Any) -> Any:
    body = environ["wsgi.input"].read()
    await asyncio.sleep(0)
    start_response("200 OK", [*HELLO, ("X-Length", str(len(body)))])
    return Closing([b"hello"])


def pieces(environ: Any, start_response: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"hello ", b"", b"world!"):
            await asyncio.sleep(0)
            yield piece

    start_response("200 OK", HELLO_WORLD)
    return ClosingLater(pieces())


def awaitables(environ: Any, start_response: Any) -> Any:
    async def piece(piece: bytes) -> bytes:
        await asyncio.sleep(0)
        return piece

    def pieces() -> Iterator[Any]:
        yield b"hello "
        yield piece(b"")
        yield piece(b"world!")

    start_response("200 OK", HELLO_WORLD)
    return Closing(pieces())


async def write(environ: Any, start_response: Any) -> Any:
    write = start_response("200 OK", HELLO_WORLD)
    await asyncio.sleep(0)
    write(b"hello ")
    return Closing([b"world!"])


async def file(environ: Any, start_response: Any) -> Any:
    await asyncio.sleep(0)
    length = Path(__file__).stat().st_size
    start_response("200 OK", [*TEXT, ("Content-Length", str(length))])
    count("closes")
    return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))


async def fails(environ: Any, start_response: Any) -> Any:
    count("closes")
    await asyncio.sleep(0)
    raise LookupError("as it is meant to")


def fails_later(environ: Any, start_response: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"hello"
        await asyncio.sleep(0)
        raise LookupError("as it is meant to")

    start_response("200 OK", TEXT)
    return ClosingLater(pieces())


def endless(environ: Any, start_response: Any) -> Any:
    async def pieces() -> AsyncIterator[bytes]:
        while True:
            await asyncio.sleep(0)
            yield b"x" * 65536

    start_response("200 OK", TEXT)
    return ClosingLater(pieces())


async def never(environ: Any, start_response: Any) -> Any:
    # A coroutine that is cancelled before it begins has nothing to close.
    count("calls")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        count("closes")


async def passes(environ: Any, start_response: Any) -> None:
    await asyncio.sleep(0)


async def edits(environ: Any, response: Any) -> None:
    await asyncio.sleep(0)
    response.headers["X-Edited"] = "yes"


PATHS: dict[str, Callable[[Any, Any], Any]] = {
    "/coroutine": coroutine,
    "/pieces": pieces,
    "/awaitables": awaitables,
    "/awaited-write": write,
    "/awaited-file": file,
    "/handler": wsgi.WsgiHandler([passes, coroutine], [edits]),
    "/handler-of-pieces": wsgi.WsgiHandler([passes, pieces], [edits]),
    "/awaited-raise": fails,
    "/awaited-raise-later": fails_later,
    "/awaited-endless": endless,
}


def application(environ: dict[str, Any], start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/never":
        return never(environ, start_response)
    chosen = PATHS.get(environ["PATH_INFO"])
    if chosen is None:
        return plain.application(environ, start_response)
    count("calls")
    return chosen(environ, start_response)
