"""Conditional requests and ranges (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import re
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from tower_wsgi.wsgi.extra import werkzeug

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_RANGE = re.compile(r"bytes[ \t]*=[ \t]*(\d{0,40})-(\d{0,40})[ \t]*", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def precondition(environ: WSGIEnvironment, etag: str, modified: int) -> int | None:
    """Return 304 or 412 if the request asks for the file only in another state, else ``None``.

    ``etag`` is without its quotes, ``modified`` the second of the last modification. A date that is
    malformed is ignored.
    """
    if (header := environ.get("HTTP_IF_MATCH")) is not None:
        etags = _etags(header)
        if not etags.star_tag and not etags.contains(etag):
            return 412
    else:
        date = _date(environ.get("HTTP_IF_UNMODIFIED_SINCE"))
        if date is not None and modified > date:
            return 412
    if (header := environ.get("HTTP_IF_NONE_MATCH")) is not None:
        etags = _etags(header)
        return 304 if etags.star_tag or etags.contains_weak(etag) else None
    date = _date(environ.get("HTTP_IF_MODIFIED_SINCE"))
    return 304 if date is not None and modified <= date else None


def requested_range(
    environ: WSGIEnvironment, etag: str, modified: int, now: float, size: int
) -> range | None:
    """Return the offsets of the bytes that the request asks for, or ``None`` for the whole file.

    Several ranges at once, and units other than bytes, are ignored, as is a range of the file in
    another state (``If-Range``). Raises `Unsatisfiable`.
    """
    found = _RANGE.fullmatch(environ.get("HTTP_RANGE", ""))
    if found is None or not _is_current(environ.get("HTTP_IF_RANGE"), etag, modified, now):
        return None
    first, last = found.groups()
    if not first:
        if not last:
            return None
        if int(last) == 0 or size == 0:
            raise Unsatisfiable
        return range(max(0, size - int(last)), size)
    if last and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return range(int(first), min(int(last) + 1, size) if last else size)


def _is_current(if_range: str | None, etag: str, modified: int, now: float) -> bool:
    if if_range is None:
        return True
    if '"' in if_range:
        return if_range.strip() == f'"{etag}"'
    # A file that has just been modified may be modified again in the same second.
    return _date(if_range) == modified and now - modified >= 1


def _etags(header: str) -> Any:  # noqa: ANN401
    return werkzeug("http").parse_etags(header.strip())


def _date(header: str | None) -> int | None:
    date: datetime | None = werkzeug("http").parse_date(header)
    if date is None:
        return None
    return int((date - datetime.fromtimestamp(0, timezone.utc)).total_seconds())
