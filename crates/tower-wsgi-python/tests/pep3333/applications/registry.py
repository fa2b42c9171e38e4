"""What the applications use: a name for each, events for the tests, and gates."""

from __future__ import annotations

import itertools
import os
import select
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Application = Callable[[dict[str, Any], Any], Any]

APPLICATIONS: dict[str, Application] = {}
TEXT = [("Content-Type", "text/plain")]
_numbers = itertools.count(1)


def application(function: Application) -> Application:
    """Serve ``function`` at the path that is its name."""
    assert function.__name__ not in APPLICATIONS
    APPLICATIONS[function.__name__] = function
    return function


def event(environ: dict[str, Any], text: str) -> None:
    """Tell the test."""
    sys.stderr.write(f"EVENT {environ.get('HTTP_X_KEY')} {text}\n")


def wait(environ: dict[str, Any]) -> None:
    """Wait until the test opens the gate."""
    gate = os.open(environ["HTTP_X_GATE"], os.O_RDONLY | os.O_NONBLOCK)
    try:
        if not select.select([gate], [], [], 120)[0]:
            raise TimeoutError("the gate was not opened")
        os.read(gate, 1)
    finally:
        os.close(gate)


class Closing:
    """An iterable that tells when it is made and closed."""

    def __init__(self, environ: dict[str, Any], chunks: Iterable[Any]) -> None:
        self.environ = environ
        self.chunks = chunks
        self.number = next(_numbers)
        event(environ, f"made {self.number}")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.chunks)

    def close(self) -> None:
        event(self.environ, f"close {self.number}")
        event(self.environ, "closed")
