"""The messages without a database: in the memory of the only worker."""

from __future__ import annotations

import json
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED = 50


class Memory:
    """The latest messages, and where a new one is heard."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        self._latest: deque[str] = deque(maxlen=REMEMBERED)

    def say(self, name: str, text: str) -> None:
        """Remember a message, and let it be heard."""
        # The number is greater than those of the worker before this one.
        message = json.dumps({"id": time.time_ns() // 1000, "name": name, "text": text})
        self._latest.append(message)
        self._hear(message)

    def latest(self) -> list[str]:
        """Return the latest messages, oldest first."""
        return list(self._latest)
