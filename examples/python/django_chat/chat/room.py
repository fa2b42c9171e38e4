"""The room: the clients of this worker, and the messages that they hear."""

from __future__ import annotations

import threading
from functools import cache
from typing import TYPE_CHECKING

from django.conf import settings
from tower_wsgi import ws

from chat.memory import Memory

if TYPE_CHECKING:
    from chat.postgres import Postgres

MAX_NAME = 40
MAX_TEXT = 1000


class Room:
    """The clients of this worker. They hear all messages, those of other workers as well."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: set[ws.WebSocketProtocol] = set()
        self._messages = self._open()

    def _open(self) -> Memory | Postgres:
        if settings.CHAT_IN_MEMORY:
            return Memory(self._hear)
        from chat.postgres import Postgres

        return Postgres(self._hear)

    def enter(self, client: ws.WebSocketProtocol) -> None:
        """Let a client hear the latest messages, and those that follow them."""
        # In this order none is missing. One may come twice: the page shows it once.
        with self._lock:
            self._clients.add(client)
        for message in self._messages.latest():
            client.write(message)

    def leave(self, client: ws.WebSocketProtocol) -> None:
        """Forget a client."""
        with self._lock:
            self._clients.discard(client)

    def say(self, name: str, text: str) -> None:
        """Say something to all."""
        name, text = name.strip()[:MAX_NAME], " ".join(text.split())[:MAX_TEXT]
        if text:
            self._messages.say(name or "guest", text)

    def _hear(self, message: str) -> None:
        with self._lock:
            clients = list(self._clients)
        # It does not wait: a client that reads too slowly is disconnected, and connects again.
        ws.broadcast(clients, message)


@cache
def room() -> Room:
    """Return the room of this worker, which the first client opens."""
    return Room()
