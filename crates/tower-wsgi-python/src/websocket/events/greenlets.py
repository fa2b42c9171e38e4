"""Run with the globals of a dictionary: a greenlet handles events, see `greenlets.rs`."""

from __future__ import annotations

from typing import Any


def handle(events: Any) -> None:
    while (call := events.next()) is not None:
        method, arguments = call
        try:
            result = method(*arguments)
        except BaseException as error:  # noqa: BLE001
            events.failed(error)
        else:
            events.returned(result)
