"""The messages in PostgreSQL: a table keeps them, and NOTIFY brings each to all workers."""

from __future__ import annotations

import json
import logging
import threading
from typing import TYPE_CHECKING

import psycopg
from django.db import close_old_connections, connection, transaction

from chat.models import Message

if TYPE_CHECKING:
    from collections.abc import Callable

REMEMBERED = 50
_RETRY = 1.0

logger = logging.getLogger(__name__)


class Postgres:
    """The messages in the database, and the thread that hears the new ones of all workers."""

    def __init__(self, hear: Callable[[str], None]) -> None:
        self._hear = hear
        # It waits for the database as long as the worker runs, so the end does not wait for it.
        threading.Thread(target=self._listen, name="chat-listener", daemon=True).start()

    def say(self, name: str, text: str) -> None:
        """Store a message, and notify all workers of it, this one among them."""
        close_old_connections()
        with transaction.atomic(), connection.cursor() as cursor:
            message = Message.objects.create(name=name, text=text)
            # The limit of NOTIFY is 8000 bytes; a message has at most 1040 characters.
            cursor.execute("SELECT pg_notify('chat', %s)", [_as_json(message)])

    def latest(self) -> list[str]:
        """Return the latest messages, oldest first."""
        close_old_connections()
        return [_as_json(message) for message in Message.objects.order_by("-id")[:REMEMBERED]][::-1]

    def _listen(self) -> None:
        while True:
            try:
                with psycopg.connect(**_parameters(), autocommit=True) as listener:
                    listener.execute("LISTEN chat")
                    # What was said while nothing listened. The page leaves out what it has.
                    for message in self.latest():
                        self._hear(message)
                    connection.close()
                    for notification in listener.notifies():
                        self._hear(notification.payload)
            except psycopg.Error as error:
                logger.warning("the connection to PostgreSQL is lost: %s", error)
                threading.Event().wait(_RETRY)


def _parameters() -> dict[str, object]:
    parameters = {**connection.get_connection_params(), "application_name": "chat-listener"}
    # These are for Django's own connections.
    for name in ("cursor_factory", "context"):
        parameters.pop(name, None)
    return parameters


def _as_json(message: Message) -> str:
    fields = {"id": message.pk, "name": message.name, "text": message.text}
    return json.dumps(fields, ensure_ascii=False)
