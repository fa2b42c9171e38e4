from __future__ import annotations

import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Buffer


class Socket(socket.socket):
    """One end of a WebSocket connection, for libraries that write the frames themselves.

    They send from several threads, and expect of each `send` that it sends all and that nothing
    comes in between.
    """

    def __init__(self, descriptor: int) -> None:
        self._sending = threading.Lock()
        super().__init__(fileno=descriptor)

    def send(self, data: Buffer, flags: int = 0) -> int:
        self.sendall(data, flags)
        return memoryview(data).nbytes

    def sendall(self, data: Buffer, flags: int = 0) -> None:
        # gevent's `sendall` would call `send` above.
        with self._sending, memoryview(data) as view, view.cast("B") as left:
            sent = 0
            while sent < len(left):
                sent += super().send(left[sent:], flags)
