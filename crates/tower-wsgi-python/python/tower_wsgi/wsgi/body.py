"""The body of a request, with limits: as bytes, and as JSON."""

from __future__ import annotations

import io
import json
from itertools import accumulate
from math import isinf
from typing import TYPE_CHECKING, Any, NoReturn

from tower_wsgi.wsgi.errors import BadRequest, HttpException

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment

_NOT_BRACKETS = bytes(byte for byte in range(256) if byte not in b"[]{}")
_STEPS = bytes.maketrans(b"[{]}", b"\x01\x01\xff\xff")
"""One level down, or as a signed byte -1, one level up."""


def media_type(environ: WSGIEnvironment) -> str:
    """Return the media type of the body in lower case, without its parameters."""
    content_type: str = environ.get("CONTENT_TYPE") or ""
    return content_type.partition(";")[0].strip().lower()


def is_json(media_type: str) -> bool:
    """Whether a body of this type is JSON."""
    return media_type in (
        "application/json",
        "application/javascript",
        "text/json",
        "text/x-json",
    ) or (media_type.startswith("application/") and media_type.endswith("+json"))


def read_body(environ: WSGIEnvironment, limit: int) -> bytes:
    """Read the whole body. It can be read again from ``wsgi.input`` afterwards.

    Raises `HttpException` with status 413 if it has more than ``limit`` bytes.
    """
    declared = environ.get("CONTENT_LENGTH") or ""
    if declared.isdecimal():
        length = int(declared)
        if length > limit:
            too_large(limit)
    elif environ.get("wsgi.input_terminated"):
        length = limit + 1
    else:
        # Without a length, PEP 3333 gives no way to find the end of the body.
        return b""
    stream = environ["wsgi.input"]
    body = _read(stream, length)
    if len(body) > limit:
        too_large(limit)
    try:
        stream.seek(-len(body), io.SEEK_CUR)
    except (AttributeError, OSError):
        # A stream of another server, which can be read only once.
        environ["wsgi.input"] = io.BytesIO(body)
    return body


def too_large(limit: int) -> NoReturn:
    """Raise the response to a body of more than ``limit`` bytes."""
    raise HttpException(f"The body of the request is longer than {limit} bytes.", 413)


def parse_json(body: bytes, max_depth: int) -> Any:  # noqa: ANN401 -- any JSON value
    """Return the value of the JSON text ``body``, which is UTF-8.

    Raises `BadRequest` if it is malformed, or if its arrays and objects are nested deeper than
    ``max_depth``. ``NaN`` and numbers that are too large for Python's are malformed.
    """
    if exceeds_depth(body, max_depth):
        raise BadRequest(f"The JSON text is nested deeper than {max_depth} levels.")
    try:
        return json.loads(body.decode(), parse_constant=_refuse_constant, parse_float=_finite_float)
    except (ValueError, RecursionError):
        raise BadRequest("The body of the request is not JSON.") from None


def exceeds_depth(body: bytes, max_depth: int) -> bool:
    """Whether the arrays and objects of a JSON text are nested deeper than ``max_depth``.

    The parser is recursive: it must not get such a text. In a malformed text, what is before the
    first error counts, and perhaps more.
    """
    if body.count(b"[") + body.count(b"{") <= max_depth:
        return False
    # Every second piece is outside of strings, once no string contains a quotation mark.
    without_escapes = body.replace(rb"\\", b"").replace(rb"\"", b"")
    outside = b"".join(without_escapes.split(b'"')[::2])
    steps = outside.translate(_STEPS, delete=_NOT_BRACKETS)
    return max(accumulate(memoryview(steps).cast("b")), default=0) > max_depth


def _read(stream: io.BufferedIOBase, length: int) -> bytes:
    # A `read` may return less than it was asked for before the end.
    pieces = []
    while length > 0 and (piece := stream.read(min(length, 1 << 20))):
        pieces.append(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _finite_float(text: str) -> float:
    number = float(text)
    if isinf(number):
        raise ValueError(text)
    return number


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)
