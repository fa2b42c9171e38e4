"""The request's ``Accept`` headers: RFC 9110 section 12.5."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


def qualities(header: str) -> dict[str, float]:
    """Give the quality, from 0 to 1, of each value in the header, in lower case."""
    found: dict[str, float] = {}
    for item in header.split(","):
        value, *parameters = (part.strip().lower() for part in item.split(";"))
        if value:
            weights = (p[2:] for p in parameters if p.startswith("q="))
            found[value] = _quality(next(weights, "1"))
    return found


def best_type(header: str, offered: Sequence[str]) -> str:
    """Choose the content type that the client likes best.

    The first one where it does not care, and where it accepts none of them: a page in the wrong
    form says more than none.
    """
    accepted = qualities(header)

    def quality(content_type: str) -> float:
        main = content_type.partition("/")[0]
        for pattern in (content_type, f"{main}/*", "*/*"):
            if pattern in accepted:
                return accepted[pattern]
        return 0

    return max(offered, key=quality)


def accepts_gzip(header: str) -> bool:
    """Whether the client takes gzip, and likes it no less than the plain content."""
    accepted = qualities(header)
    gzip = accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", 0)))
    return gzip > 0 and gzip >= accepted.get("identity", 0)


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0
    # A comparison that is false for what is not a number, too.
    return quality if 0 <= quality <= 1 else 0
