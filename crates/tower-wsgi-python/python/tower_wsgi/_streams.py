"""Standard output and error of a worker: a print never waits, and never fails."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tower_wsgi._native import LogStream


class _Raw(io.RawIOBase):
    """A standard stream over the writer of the server's own log."""

    mode = "wb"

    def __init__(self, stream: LogStream, descriptor: int, name: str) -> None:
        self._stream = stream
        self._descriptor = descriptor
        self.name = name

    def writable(self) -> bool:
        return True

    def write(self, data: Buffer, /) -> int:
        return self._stream.write(bytes(data))

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def close(self) -> None:
        """Stay open: it is the process's."""


def replace(stdout: LogStream, stderr: LogStream) -> None:
    """Let what is printed from now on go to these."""
    before = sys.stderr
    sys.stdout = _text(stdout, sys.stdout, 1, "<stdout>", "strict")
    sys.stderr = _text(stderr, sys.stderr, 2, "<stderr>", "backslashreplace")
    # What was imported before may log to standard error: Django does in a command of its own.
    logging = sys.modules.get("logging")
    if logging is None:
        return
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(sys.stderr)


def _text(
    stream: LogStream, before: TextIO | None, descriptor: int, name: str, errors: str
) -> TextIO:
    if isinstance(before, io.TextIOWrapper):
        # What it holds comes first, as far as it can be written.
        with suppress(OSError, ValueError):
            before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    errors = getattr(before, "errors", None) or errors
    raw = _Raw(stream, descriptor, name)
    # The raw stream keeps lines together, so each piece goes through at once.
    return io.TextIOWrapper(raw, encoding, errors, write_through=True)
