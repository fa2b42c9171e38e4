"""Response middleware: callables that take the environ and a response, and edit the response."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from tower_wsgi.wsgi.awaitables import Later, is_async_iterable, is_awaitable, resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from tower_wsgi.wsgi.response import WsgiResponse

_LEVEL = 6
_GZIP_FORMAT = 31
"""The `wbits` of zlib for a gzip header and the largest window."""


class AccessControl:
    """Sets ``Access-Control-Allow-Origin``, so that pages of other sites can read responses.

    ``origin`` is one site or ``*``; ``methods`` are the methods that a page may use. Only responses
    with status 200 get the headers; the application responds to preflight requests (``OPTIONS``).
    """

    def __init__(self, origin: str = "*", methods: str | Iterable[str] | None = None) -> None:
        self.origin = origin
        if methods is not None and not isinstance(methods, str):
            methods = ", ".join(methods)
        self.methods = methods

    def __call__(self, environ: WSGIEnvironment, response: WsgiResponse) -> WsgiResponse:
        """Add the headers."""
        if response.status_code == 200:
            response.headers["Access-Control-Allow-Origin"] = self.origin
            if self.methods:
                response.headers["Access-Control-Allow-Methods"] = self.methods
        return response


class GZipMiddleware:
    """Compresses responses for clients that accept gzip.

    It compresses responses with status 200 and a known length (the body is a list, or the
    application has set ``Content-Length``) of at least ``min_length`` bytes, except images, audio,
    video and compressed formats. A stream of unknown length is not compressed, because its client
    may wait for each piece.

    Do not compress pages that contain both a secret and data from the request: the length of the
    response would reveal parts of the secret (the BREACH attack).
    """

    def __init__(self, min_length: int = 200) -> None:
        self.min_length = min_length

    def __call__(self, environ: WSGIEnvironment, response: WsgiResponse) -> WsgiResponse:
        """Compress the content if this response qualifies."""
        headers = response.headers
        # Also for a response that is not compressed: a cache must not serve it to other clients.
        _add_vary(response)
        if not self._qualifies(response):
            return response
        if environ["REQUEST_METHOD"] == "HEAD":
            return response
        if not _accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            return response
        headers["Content-Encoding"] = "gzip"
        # The content has other bytes now, and ranges of it are not available.
        del headers["Accept-Ranges"]
        etag = headers.get("ETag")
        if etag is not None and not etag.startswith("W/"):
            headers["ETag"] = f"W/{etag}"
        if isinstance(response.content, (list, tuple)):
            content = gzip.compress(b"".join(response.content), _LEVEL, mtime=0)
            headers["Content-Length"] = str(len(content))
            response.content = [content]
        elif response.content is not None:
            del headers["Content-Length"]
            chunks = response.content
            if is_async_iterable(chunks):
                response.content = _compressed_stream(chunks)  # type: ignore[arg-type, assignment]
            else:
                response.content = _compressed(chunks)
        return response

    def _qualifies(self, response: WsgiResponse) -> bool:
        length = response.length()
        headers = response.headers
        return (
            response.status_code == 200
            and length is not None
            and length >= self.min_length
            and "Content-Encoding" not in headers
            and "no-transform" not in (headers.get("Cache-Control") or "").lower()
            and _is_compressible((headers.get("Content-Type") or "").lower())
        )


def _is_compressible(content_type: str) -> bool:
    content_type = content_type.partition(";")[0].strip()
    return content_type == "image/svg+xml" or not (
        content_type.startswith(("image/", "audio/", "video/", "font/woff"))
        or content_type in ("application/zip", "application/gzip", "application/pdf")
    )


def _add_vary(response: WsgiResponse) -> None:
    fields = [
        field.strip().lower()
        for value in response.headers.get_all("Vary")
        for field in value.split(",")
    ]
    if "*" not in fields and "accept-encoding" not in fields:
        response.headers.add_header("Vary", "Accept-Encoding")


def _compressed(chunks: Iterable[bytes]) -> Iterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    for chunk in chunks:
        if is_awaitable(chunk):
            yield Later(_compressed_later(compressor, chunk), chunk)  # type: ignore[misc]
        else:
            # Perhaps empty: a middleware yields one piece for each that it receives (PEP 3333).
            yield compressor.compress(chunk)
    yield compressor.flush()


async def _compressed_later(compressor: zlib._Compress, chunk: bytes) -> bytes:
    return compressor.compress(await resolve(chunk))


async def _compressed_stream(chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP_FORMAT)
    async for chunk in chunks:
        yield compressor.compress(chunk)
    yield compressor.flush()


def _accepts_gzip(header: str) -> bool:
    """Whether ``Accept-Encoding`` allows gzip and does not prefer the plain content to it."""
    accepted = _qualities(header)
    gzip = accepted.get("gzip", accepted.get("x-gzip", accepted.get("*", 0)))
    return gzip > 0 and gzip >= accepted.get("identity", 0)


def _qualities(header: str) -> dict[str, float]:
    """Return the quality, from 0 to 1, of each value in the header, in lower case."""
    found: dict[str, float] = {}
    for item in header.split(","):
        value, *parameters = (part.strip().lower() for part in item.split(";"))
        if value:
            weights = (p[2:] for p in parameters if p.startswith("q="))
            found[value] = _quality(next(weights, "1"))
    return found


def _quality(text: str) -> float:
    try:
        quality = float(text)
    except ValueError:
        return 0
    # The comparison is false for NaN.
    return quality if 0 <= quality <= 1 else 0
