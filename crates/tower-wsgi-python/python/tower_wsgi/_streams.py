"""Standard output and standard error of a worker: writing never blocks and never fails."""

from __future__ import annotations

import io
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from typing_extensions import Buffer

    from tower_wsgi._native import LineWriter


class _Raw(io.RawIOBase):
    """The raw stream below a text stream: it writes to the server's log writer."""

    mode = "wb"

    def __init__(self, stream: LineWriter, descriptor: int, name: str) -> None:
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
        """Do nothing: the stream belongs to the process."""


def replace(stdout: LineWriter, stderr: LineWriter) -> None:
    """Replace ``sys.stdout`` and ``sys.stderr``."""
    before = sys.stderr
    sys.stdout = _text(stdout, sys.stdout, 1, "<stdout>", "strict")
    sys.stderr = _text(stderr, sys.stderr, 2, "<stderr>", "backslashreplace")
    # Modules imported before may have set up logging to standard error, as Django's commands do.
    logging = sys.modules.get("logging")
    if logging is None:
        return
    for logger in [logging.root, *logging.root.manager.loggerDict.values()]:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream is before:
                handler.setStream(sys.stderr)


def _text(
    stream: LineWriter, before: TextIO | None, descriptor: int, name: str, errors: str
) -> TextIO:
    if isinstance(before, io.TextIOWrapper):
        # Its buffered output comes first, if it can be written.
        with suppress(OSError, ValueError):
            before.flush()
    encoding = getattr(before, "encoding", None) or "utf-8"
    errors = getattr(before, "errors", None) or errors
    raw = _Raw(stream, descriptor, name)
    # The raw stream keeps lines together, so the text stream need not buffer.
    return io.TextIOWrapper(raw, encoding, errors, write_through=True)
