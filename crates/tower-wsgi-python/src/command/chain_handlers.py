"""Run with the globals of a dictionary: see `MainThreadHandle::chain_signal_handlers`."""

from __future__ import annotations

import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    Handler = Callable[[int, FrameType | None], object]


def chain_handlers(names: list[str], stop: Callable[[], None]) -> None:
    for name in names:
        number = getattr(signal, name)
        handler = signal.getsignal(number)
        if callable(handler):
            signal.signal(number, _chained(handler, stop))


def _chained(handler: Handler, stop: Callable[[], None]) -> Handler:
    def chained(number: int, frame: FrameType | None) -> None:
        try:
            handler(number, frame)
        finally:
            stop()

    return chained
