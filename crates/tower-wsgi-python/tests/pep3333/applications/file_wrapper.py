"""Files, sent by the server."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, application, event

if TYPE_CHECKING:
    from collections.abc import Callable

_kept: dict[str, Any] = {}
BINARY = [("Content-Type", "application/octet-stream")]


def _telling(environ: Any, kind: type[Any]) -> type[Any]:
    """A kind of file that records its close."""

    class Telling(kind):  # type: ignore[misc]
        def close(self) -> None:
            if not self.closed:
                event(environ, "closed")
            super().close()

    return Telling


class Reader:
    """The least that is a file: read, and no close."""

    def __init__(self, data: bytes) -> None:
        self.file = io.BytesIO(data)

    def read(self, size: int = -1) -> bytes:
        return self.file.read(size)


class Upper(io.FileIO):
    """Is a file on disk, and yet not what is on disk."""

    def read(self, size: int = -1, /) -> bytes:  # type: ignore[override]
        return super().read(size).upper()

    def readinto(self, buffer: Any, /) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)


class UpperReader(io.BufferedReader):
    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(size).upper()


def open_pipe(data: bytes) -> Any:
    """The reading end of a pipe with some bytes in it."""
    read, write = os.pipe()
    os.write(write, data)
    os.close(write)
    return os.fdopen(read, "rb")


def _later(path: str) -> Any:
    file = Path(path).open("rb")
    file.read(10)
    return file


OPENED: dict[str, Callable[[str], Any]] = {
    "open": lambda path: Path(path).open("rb"),
    "unbuffered": lambda path: Path(path).open("rb", buffering=0),
    "read and write": lambda path: Path(path).open("r+b"),
    "from 10": _later,
    "at the end": lambda path: _at_the_end(path),
    "BytesIO": lambda path: io.BytesIO(Path(path).read_bytes()),
    "reader": lambda path: Reader(Path(path).read_bytes()),
    "pipe": lambda path: open_pipe(Path(path).read_bytes()),
    "subclass": Upper,
    "subclass of reader": lambda path: UpperReader(io.FileIO(path)),
    "reader of subclass": lambda path: io.BufferedReader(Upper(path)),
    "text": lambda path: Path(path).open(),
}


def _at_the_end(path: str) -> Any:
    file = Path(path).open("rb")
    file.read()
    return file


@application
def file(environ: Any, start_response: Any) -> Any:
    """A file, opened and with headers as the test says."""
    opened = OPENED[environ.get("HTTP_X_KIND", "open")](environ["HTTP_X_PATH"])
    headers = [("Content-Length", environ["HTTP_X_LENGTH"])] if "HTTP_X_LENGTH" in environ else []
    start_response("200 OK", [*BINARY, *headers])
    sizes = [int(environ["HTTP_X_BLOCK"])] if "HTTP_X_BLOCK" in environ else []
    return environ["wsgi.file_wrapper"](opened, *sizes)


@application
def file_that_is_kept(environ: Any, start_response: Any) -> Any:
    """Gives a file that has nothing to tell, so that another request must look whether it is closed."""
    opened = _kept[environ["HTTP_X_KEY"]] = Path(environ["HTTP_X_PATH"]).open("rb")
    start_response("200 OK", BINARY)
    return environ["wsgi.file_wrapper"](opened)


@application
def kept_file(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [str(_kept[environ["HTTP_X_KEY"]].closed).encode()]


@application
def file_that_tells(environ: Any, start_response: Any) -> Any:
    path = environ["HTTP_X_PATH"]
    if environ.get("HTTP_X_KIND") == "BytesIO":
        opened = _telling(environ, io.BytesIO)(Path(path).read_bytes())
    else:
        opened = _telling(environ, io.FileIO)(path, "rb")
    start_response(
        environ.get("HTTP_X_STATUS", "200 OK"), [] if "HTTP_X_STATUS" in environ else BINARY
    )
    return environ["wsgi.file_wrapper"](opened)


@application
def file_then_other(environ: Any, start_response: Any) -> Any:
    """Makes a wrapper, and returns something else: nothing of the file is sent."""
    with Path(environ["HTTP_X_PATH"]).open("rb") as opened:
        environ["wsgi.file_wrapper"](opened)
        position = opened.tell()
    start_response("200 OK", TEXT)
    return [f"not the file {position}".encode()]


@application
def file_through_middleware(environ: Any, start_response: Any) -> Any:
    """What is between reads the blocks, and changes them."""
    wrapper = environ["wsgi.file_wrapper"](Path(environ["HTTP_X_PATH"]).open("rb"), 7)
    start_response("200 OK", BINARY)

    def blocks() -> Any:
        try:
            for block in wrapper:
                yield b"[" + block + b"]"
        finally:
            wrapper.close()
            event(environ, f"the file is closed {wrapper.filelike.closed}")

    return blocks()


@application
def file_unstarted(environ: Any, start_response: Any) -> Any:
    return environ["wsgi.file_wrapper"](Path(environ["HTTP_X_PATH"]).open("rb"))


@application
def file_after_write(environ: Any, start_response: Any) -> Any:
    """Writes, then gives a file."""
    start_response("200 OK", BINARY)(b"first ")
    return environ["wsgi.file_wrapper"](Path(environ["HTTP_X_PATH"]).open("rb"))


@application
def process_memory(environ: Any, start_response: Any) -> list[bytes]:
    """How much memory the process has in use, in kB: what is its own, without files."""
    status = Path("/proc/self/status").read_text()
    start_response("200 OK", TEXT)
    return [
        next(line for line in status.splitlines() if line.startswith("RssAnon")).split()[1].encode()
    ]
