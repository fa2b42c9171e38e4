"""The application of the chat, and what it says at the start."""

from __future__ import annotations

from django.apps import AppConfig
from django.conf import settings
from django.core import checks


class ChatConfig(AppConfig):
    """The application of the chat."""

    name = "chat"


@checks.register
def check_database(**_: object) -> list[checks.CheckMessage]:
    """Warn that there is no database. The command ``pulse`` prints it in each worker."""
    if not settings.CHAT_IN_MEMORY:
        return []
    warning = "There is no DATABASE_URL: the messages are kept in the memory of one worker."
    hint = (
        "They are lost when the worker is replaced. With PostgreSQL there may be several workers."
    )
    return [checks.Warning(warning, hint=hint, id="chat.W001")]
