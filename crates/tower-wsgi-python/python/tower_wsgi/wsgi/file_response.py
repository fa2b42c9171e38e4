"""`file_response`: a file as a response."""

from __future__ import annotations

import mimetypes
import os
import stat
import time
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from wsgiref.util import FileWrapper

from tower_wsgi import _native
from tower_wsgi.wsgi.beneath import is_missing, open_any, open_within
from tower_wsgi.wsgi.conditional import Unsatisfiable, precondition, requested_range
from tower_wsgi.wsgi.errors import Http404, HttpException

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tower_wsgi.wsgi.request import WsgiRequest
    from tower_wsgi.wsgi.response import WsgiResponse

# A browser that is sent `Content-Encoding` would store the file unpacked.
_ENCODED = {
    "gzip": "application/gzip",
    "bzip2": "application/x-bzip2",
    "xz": "application/x-xz",
    "compress": "application/x-compress",
    "br": "application/octet-stream",
}


def file_response(
    request: WsgiRequest,
    filepath: str | os.PathLike[str],
    block: int | None = None,
    status_code: int | None = None,
    content_type: str | None = None,
    encoding: str | None = None,
    cache_control: str | None = None,
    *,
    directory: str | os.PathLike[str] | None = None,
) -> WsgiResponse:
    """Return ``request.response`` with the content of a file.

    The content type is that of the name's ending, by default; ``encoding`` is the charset of a text
    (UTF-8 by default), ``cache_control`` the header of that name. The response has ``ETag`` and
    ``Last-Modified``, and is a 304, 206, 412 or 416 if the header of the request asks for that: not
    with a ``status_code``, which is for the file of an error page.

    With ``directory``, the file must be in it, also where symbolic links lead.

    The file is sent by ``wsgi.file_wrapper``, in pieces of ``block`` bytes where Python reads it.

    Raises `Http404` if there is no such file, or if it is no ordinary file or not readable.
    """
    path = Path(filepath)
    file, found = _open(path, directory)
    try:
        response = request.response
        _describe(response, path, content_type, encoding)
        if cache_control:
            response.headers["Cache-Control"] = cache_control
        sent = _select(request, response, found, status_code)
        if sent is None or request.method == "HEAD":
            file.close()
            response.content = []
        else:
            response.content = _wrap(request, file, sent, found.st_size, block)
    except BaseException:
        file.close()
        raise
    return response


def _open(path: Path, directory: str | os.PathLike[str] | None) -> tuple[BinaryIO, os.stat_result]:
    try:
        opened = open_any(path) if directory is None else open_within(directory, path)
    except (OSError, ValueError) as error:
        if not is_missing(error):
            raise
        raise Http404 from None
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise Http404
        return os.fdopen(opened, "rb"), found
    except BaseException:
        os.close(opened)
        raise


def _describe(
    response: WsgiResponse,
    path: Path,
    content_type: str | None,
    encoding: str | None,
) -> None:
    """Set the fields that describe the whole file."""
    if content_type is None:
        # Without a slash at its start, a name with a colon would be taken for a URL.
        guessed, packed = mimetypes.guess_type(f"/{path.name}")
        if packed:
            guessed = _ENCODED.get(packed)
        content_type = guessed or "application/octet-stream"
    if content_type.startswith("text/") and ";" not in content_type:
        content_type = f"{content_type}; charset={encoding or 'utf-8'}"
    response.headers["Content-Type"] = content_type


def _select(
    request: WsgiRequest, response: WsgiResponse, found: os.stat_result, status_code: int | None
) -> range | None:
    """Set the status and the fields that depend on the request, and return the offsets to send.

    The result is ``None`` if nothing is sent.
    """
    headers = response.headers
    size = found.st_size
    whole = range(size)
    if status_code is not None:
        response.status_code = status_code
        headers["Content-Length"] = str(size)
        return whole
    from email.utils import formatdate

    now = time.time()
    # A date in the future would be wrong for the client (RFC 9110, section 8.8.2.1).
    modified = int(min(found.st_mtime, now))
    etag = f"{found.st_mtime_ns:x}-{size:x}"
    headers["ETag"] = f'"{etag}"'
    headers["Last-Modified"] = formatdate(modified, usegmt=True)
    response.status_code = 200
    if request.method in ("GET", "HEAD"):
        status = precondition(request.environ, etag, modified)
        if status == 304:
            response.status_code = 304
            del headers["Content-Type"]
            return None
        if status is not None:
            raise HttpException(status=status)
        headers["Accept-Ranges"] = "bytes"
        if request.method == "GET":
            try:
                part = requested_range(request.environ, etag, modified, now, size)
            except Unsatisfiable:
                unsatisfied = [("Content-Range", f"bytes */{size}")]
                raise HttpException(status=416, headers=unsatisfied) from None
            if part is not None:
                response.status_code = 206
                headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{size}"
                whole = part
    headers["Content-Length"] = str(len(whole))
    return whole


def _wrap(
    request: WsgiRequest, file: BinaryIO, sent: range, size: int, block: int | None
) -> Iterable[bytes]:
    wrapper = request.environ.get("wsgi.file_wrapper", FileWrapper)
    content: object = file
    if sent.start:
        file.seek(sent.start)
    # This server sends `Content-Length` bytes of the file itself. Others may read it to its end.
    if len(sent) < size and wrapper is not _native.FileWrapper:
        content = _Part(file, len(sent))
    wrapped: Iterable[bytes] = wrapper(content) if block is None else wrapper(content, block)
    return wrapped


class _Part:
    """A part of a file, from its position on."""

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._left = length

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > self._left:
            size = self._left
        data = self._file.read(size)
        self._left -= len(data)
        return data

    def close(self) -> None:
        self._file.close()
