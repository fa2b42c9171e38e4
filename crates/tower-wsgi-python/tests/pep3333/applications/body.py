"""Bodies, in many shapes."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from pep3333.applications.registry import TEXT, Closing, application, event, wait

if TYPE_CHECKING:
    from collections.abc import Iterator

ALL = bytes(range(256)) + b"\r\n\n\r0\r\n\r\n"


class Sequence:
    """Python's old protocol, which `iter` still takes."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    def __getitem__(self, index: int) -> bytes:
        return self.chunks[index]


class Sized:
    """Has a length and is neither a list nor a tuple."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = chunks

    def __len__(self) -> int:
        return len(self.chunks)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)


class ListOfMine(list):  # type: ignore[type-arg]
    def __iter__(self) -> Iterator[bytes]:
        for chunk in super().__iter__():
            yield chunk.upper()


class Bytes(bytes):
    pass


SHAPES: dict[str, Any] = {
    "list": lambda: [b"one", b"two"],
    "tuple": lambda: (b"one", b"two"),
    "generator": lambda: (chunk for chunk in (b"one", b"two")),
    "iterator": lambda: iter([b"one", b"two"]),
    "map": lambda: map(bytes, (b"one", b"two")),
    "dict": lambda: {b"one": 1, b"two": 2},
    "old": lambda: Sequence(b"one", b"two"),
    "sized": lambda: Sized(b"one", b"two"),
    "with empty ones": lambda: [b"", b"one", b"", b"", b"two", b""],
}


@application
def shape(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return SHAPES[environ["HTTP_X_SHAPE"]]()


@application
def bytes_of_mine(environ: Any, start_response: Any) -> Any:
    """Only the validator forbids that."""
    start_response("200 OK", TEXT)
    return [Bytes(b"one"), b"two"]


@application
def list_of_mine(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return ListOfMine([b"one", b"two"])


@application
def one(environ: Any, start_response: Any) -> Any:
    """A body in one piece, in several shapes."""
    start_response("200 OK", TEXT)
    shapes: dict[str, Any] = {
        "list": lambda: [b"hello"],
        "tuple": lambda: (b"hello",),
        "sized": lambda: Sized(b"hello"),
        "generator": lambda: (chunk for chunk in [b"hello"]),
    }
    return shapes[environ["HTTP_X_SHAPE"]]()


@application
def nothing(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", TEXT)
    return {"list": [], "empty": [b""], "generator": iter([]), "tuple": ()}[environ["HTTP_X_SHAPE"]]


@application
def all_bytes(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [ALL, b"", ALL]


@application
def large(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [b"x" * (10 << 20)]


@application
def length(environ: Any, start_response: Any) -> Any:
    """The chunks and the Content-Length are what the test says; each chunk asked for is an event."""
    start_response("200 OK", [*TEXT, ("content-LENGTH", environ["HTTP_X_LENGTH"])])

    def chunks() -> Iterator[bytes]:
        for chunk in ast.literal_eval(environ["HTTP_X_CHUNKS"]):
            event(environ, f"asked {chunk!r}")
            yield chunk
        event(environ, "asked for the end")

    return Closing(environ, chunks())


@application
def length_of_list(environ: Any, start_response: Any) -> Any:
    start_response("200 OK", [*TEXT, ("Content-Length", environ["HTTP_X_LENGTH"])])
    return ast.literal_eval(environ["HTTP_X_CHUNKS"])


@application
def step_by_step(environ: Any, start_response: Any) -> Iterator[bytes]:
    """Gives the next chunk when the test has seen the one before."""
    start_response("200 OK", TEXT)
    for chunk in (b"one", b"two", b"three"):
        yield chunk
        wait(environ)


@application
def step_by_step_with_length(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [*TEXT, ("Content-Length", "11")])
    for chunk in (b"one", b"two", b"three"):
        yield chunk
        wait(environ)


@application
def status_without_body(environ: Any, start_response: Any) -> list[bytes]:
    """204 and 304; the validator allows no Content-Type for them."""
    start_response(environ["HTTP_X_STATUS"], [("X-Mine", "1")])
    return [b"a body that must not be sent"]


@application
def status_with_length(environ: Any, start_response: Any) -> list[bytes]:
    start_response(environ["HTTP_X_STATUS"], [("Content-Length", "5")])
    return [b"hello"]


class Watched:
    """Notes which of its attributes are looked up."""

    def __init__(self, environ: Any) -> None:
        self.seen: list[str] = []
        self.environ = environ
        self.left = [b"one", b"two"]

    def __getattribute__(self, name: str) -> Any:
        if name not in ("seen", "environ", "left"):
            self.seen.append(name)
        return super().__getattribute__(name)

    def __iter__(self) -> Iterator[bytes]:
        return iter([b"one", b"two"])

    def close(self) -> None:
        event(self.environ, f"seen {' '.join(sorted(set(self.seen)))}")
        event(self.environ, "closed")


@application
def watched(environ: Any, start_response: Any) -> Watched:
    start_response("200 OK", TEXT)
    return Watched(environ)


@application
def where(environ: Any, start_response: Any) -> Any:
    """Tells whether the call, the iteration and the close happen on one thread."""
    import threading

    called = threading.get_ident()
    start_response("200 OK", TEXT)

    class Chunks(Closing):
        def close(self) -> None:
            super().close()
            event(environ, f"same thread {threading.get_ident() == called}")

    def chunks() -> Iterator[bytes]:
        for _ in range(3):
            yield b"same " if threading.get_ident() == called else b"other "

    return Chunks(environ, chunks())
