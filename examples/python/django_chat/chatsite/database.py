"""The database that a URL names."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

_SCHEMES = ("postgres", "postgresql")


def databases(url: str | None) -> dict[str, dict[str, Any]]:
    """Return Django's setting for ``postgres://USER:PASSWORD@HOST:PORT/NAME``, or for no database.

    The query is passed on to psycopg: ``postgres:///chat?host=/run/postgresql``.
    """
    if not url:
        return {}
    parts = urlsplit(url)
    if parts.scheme not in _SCHEMES:
        raise ImproperlyConfigured("DATABASE_URL must begin with postgres://, or be left out")
    options = dict(parse_qsl(parts.query))
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": options.pop("host", parts.hostname or ""),
        "PORT": options.pop("port", parts.port or ""),
        "OPTIONS": options,
        # A thread of the pool keeps its connection, and tries it before a request uses it.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
    }
    return {"default": database}
