"""The application: it counts its calls and closes, and tells what its process holds."""

from __future__ import annotations

import ctypes
import gc
import json
import os
import select
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TEXT = [("Content-Type", "text/plain")]
_lock = threading.Lock()
_counts = {"calls": 0, "closes": 0, "waiting": 0}


def count(name: str, step: int = 1) -> None:
    with _lock:
        _counts[name] += step


class Closing:
    def __init__(self, chunks: Iterable[bytes]) -> None:
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.chunks)

    def close(self) -> None:
        count("closes")


def endless() -> Iterator[bytes]:
    while True:
        yield b"x" * 65536


class Heap(ctypes.Structure):
    """`struct mallinfo2`."""

    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks used free keep"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]


def holds() -> dict[str, int]:
    """What the process holds."""
    gc.collect()
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    held = {
        "resident kB": int(status["RssAnon"].split()[0]),
        "threads": int(status["Threads"]),
        # Without the one that lists them.
        "files": len(list(Path("/proc/self/fd").iterdir())) - 1,
        "blocks": sys.getallocatedblocks(),
    }
    try:
        mallinfo2 = ctypes.CDLL(None).mallinfo2
    except AttributeError:
        # Not glibc, or an old one.
        held["heap"] = 0
    else:
        mallinfo2.restype = Heap
        heap = mallinfo2()
        held["heap"] = heap.used + heap.hblkhd
    return held


def wait(path: str) -> None:
    """Wait until the test opens the gate."""
    gate = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        count("waiting")
        if not select.select([gate], [], [], 120)[0]:
            raise TimeoutError("the gate was not opened")
        os.read(gate, 1)
    finally:
        count("waiting", -1)
        os.close(gate)


def application(environ: dict[str, Any], start_response: Any) -> Any:
    path = environ["PATH_INFO"]
    if path == "/state":
        with _lock:
            state = {**_counts, "process": os.getpid()}
        start_response("200 OK", TEXT)
        return [json.dumps(state).encode()]
    if path == "/holds":
        start_response("200 OK", TEXT)
        return [json.dumps(holds()).encode()]
    count("calls")
    if path == "/raise":
        # Nothing is returned, so that there is nothing to close.
        count("closes")
        raise LookupError("as it is meant to")
    if path == "/raise-later":
        start_response("200 OK", TEXT)
        return Closing(later())
    if path == "/restart":
        start_response("200 OK", TEXT)
        try:
            raise LookupError("as it is meant to")
        except LookupError:
            start_response("200 Fine", TEXT, sys.exc_info())
        return Closing([b"restarted"])
    if path == "/write":
        write = start_response("200 OK", [*TEXT, ("Content-Length", "12")])
        write(b"hello ")
        return Closing([b"world!"])
    if path == "/file":
        start_response("200 OK", TEXT)
        count("closes")
        return environ["wsgi.file_wrapper"](Path(__file__).open("rb"))
    if path == "/endless":
        start_response("200 OK", TEXT)
        return Closing(endless())
    if path == "/wait":
        wait(environ["HTTP_X_GATE"])
    body = environ["wsgi.input"].read()
    start_response("200 OK", [*TEXT, ("X-Length", str(len(body)))])
    if path == "/generator":
        return Closing(chunk for chunk in [b"hello ", b"", b"world!"])
    return Closing([b"hello"])


def later() -> Iterator[bytes]:
    yield b"hello"
    raise LookupError("as it is meant to")
