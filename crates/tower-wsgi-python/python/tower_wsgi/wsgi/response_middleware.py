"""Response middleware: callables that get the environ and the response, and edit it."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from tower_wsgi.wsgi.accept import accepts_gzip

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from _typeshed.wsgi import WSGIEnvironment

    from tower_wsgi.wsgi.response import WsgiResponse

_LEVEL = 6
_GZIP_FORMAT = 31
"""What zlib calls a gzip header and the largest window."""


class AccessControl:
    """Lets pages of other sites read responses: ``Access-Control-Allow-Origin``.

    ``origin`` is one site or ``*``, and ``methods`` those that a page may use. It is for
    responses with status 200; a preflight (``OPTIONS``) is for the application to answer.
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

    Those with status 200 and a length known beforehand (the body is a list, or the application
    has declared its ``Content-Length``) of ``min_length`` bytes or more; not images, sound, video
    and what is compressed already. A stream of unknown length goes out as it comes, because its
    client may wait for each piece of it.

    Do not compress pages that hold a secret beside what the client has sent: the length would
    tell about the secret (the attack called BREACH).
    """

    def __init__(self, min_length: int = 200) -> None:
        self.min_length = min_length

    def __call__(self, environ: WSGIEnvironment, response: WsgiResponse) -> WsgiResponse:
        """Compress the content, if that is for this response."""
        headers = response.headers
        # A cache must ask again for a client of the other kind, also when this one is not served.
        _add_vary(response)
        if not self._is_for(response):
            return response
        if environ["REQUEST_METHOD"] == "HEAD":
            return response
        if not accepts_gzip(environ.get("HTTP_ACCEPT_ENCODING", "")):
            return response
        headers["Content-Encoding"] = "gzip"
        # Byte for byte it is another content, and no range of it can be had.
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
            response.content = _compressed(response.content)
        return response

    def _is_for(self, response: WsgiResponse) -> bool:
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
        # Perhaps empty: a middleware gives one piece for each that it takes (PEP 3333).
        yield compressor.compress(chunk)
    yield compressor.flush()
