"""Forms: the fields and files of a request's body, parsed by Werkzeug within limits."""

from __future__ import annotations

from functools import cache
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from tower_wsgi.wsgi.body import is_json, media_type, read_body, too_large
from tower_wsgi.wsgi.errors import BadRequest, HttpException, UnprocessableEntity
from tower_wsgi.wsgi.extra import werkzeug

if TYPE_CHECKING:
    from collections.abc import Iterator

    from _typeshed.wsgi import WSGIEnvironment
    from werkzeug.datastructures import FileStorage, MultiDict

    from tower_wsgi.wsgi.request import WsgiRequest

WITH_BODY = ("POST", "PUT", "PATCH", "TRACE")

_BUFFER = 64 << 10
_CHARSETS = ("ascii", "us-ascii", "utf-8", "iso-8859-1")


def parse_form_data(
    request: WsgiRequest, stream: None = None
) -> tuple[Any, MultiDict[str, FileStorage] | None]:
    """Return the data of a request's body, and the files in it: see `WsgiRequest.data_and_files`.

    ``stream``, an argument of pulsar, must be ``None``: files are on the disk. Raises
    `UnprocessableEntity` for a method that has no body.
    """
    if stream is not None:
        raise TypeError("parse_form_data has no streams: read the files that it returns")
    if request.method not in WITH_BODY:
        raise UnprocessableEntity(f"A form cannot be sent with {request.method}.")
    environ = request.environ
    media = media_type(environ)
    if media == "multipart/form-data":
        return _parse_multipart(environ, request.max_memory, request.max_form_parts)
    if is_json(media):
        return request.json, None
    body = read_body(environ, request.max_memory)
    if media not in ("application/x-www-form-urlencoded", "application/x-url-encoded"):
        return body, None
    try:
        return parse_query(body.decode()), None
    except ValueError:
        raise BadRequest("The form in the request is not URL-encoded UTF-8.") from None


def parse_query(query: str) -> MultiDict[str, str]:
    """Return the parameters of a query or of an URL-encoded form; blank ones are kept."""
    pairs = parse_qsl(query, keep_blank_values=True)
    multi_dict: MultiDict[str, str] = werkzeug("datastructures").MultiDict(pairs)
    return multi_dict


def _parse_multipart(
    environ: WSGIEnvironment, max_memory: int, max_parts: int
) -> tuple[MultiDict[str, str], MultiDict[str, FileStorage]]:
    """Return the fields and files of a form as ``multipart/form-data``.

    A file of more than 64 KiB is on the disk. Raises `HttpException` with status 413 if there are
    more than ``max_parts`` parts, or if the fields and the headers of all parts have more than
    ``max_memory`` bytes together; `BadRequest` if the body is malformed.
    """
    multi_dict = werkzeug("datastructures").MultiDict
    form = _Form(max_memory)
    try:
        for event in _events(environ, max_memory, max_parts):
            form.add(event)
    except (ValueError, werkzeug("exceptions").HTTPException) as error:
        form.close()
        if isinstance(error, ValueError):
            raise BadRequest("The form in the request is malformed.") from None
        raise HttpException(error.description or "", error.code) from None
    except BaseException:
        form.close()
        raise
    return multi_dict(form.fields), multi_dict(form.files)


def _events(environ: WSGIEnvironment, max_memory: int, max_parts: int) -> Iterator[Any]:
    multipart = werkzeug("sansio.multipart")
    _, options = werkzeug("http").parse_options_header(environ.get("CONTENT_TYPE"))
    boundary = options.get("boundary", "").encode("ascii")
    if not boundary:
        raise ValueError("no boundary")
    # What it has not decoded yet is bounded, too.
    max_buffer = max(max_memory, 2 * _BUFFER)
    decoder = multipart.MultipartDecoder(boundary, max_buffer, max_parts=max_parts)
    stream = werkzeug("wsgi").get_input_stream(environ)
    more = True
    while more:
        data = stream.read(_BUFFER)
        more = bool(data)
        decoder.receive_data(data or None)
        while not isinstance(event := decoder.next_event(), multipart.NeedData):
            if isinstance(event, multipart.Epilogue):
                return
            yield event


@cache
def _part_file() -> type[IO[bytes]]:
    # Imported on demand, because the import is slow.
    from tempfile import SpooledTemporaryFile

    class PartFile(SpooledTemporaryFile[bytes]):
        """The content of a file. It is closed when nothing refers to it any more."""

        def __del__(self) -> None:
            self.close()

    return PartFile


class _Form:
    """The fields and files so far, and the part that is being read."""

    def __init__(self, max_memory: int) -> None:
        self.fields: list[tuple[str, str]] = []
        self.files: list[tuple[str, FileStorage]] = []
        self._max_memory = max_memory
        self._memory = 0
        self._part: Any = None
        self._pieces: list[bytes] = []
        self._file: IO[bytes] | None = None

    def add(self, event: Any) -> None:  # noqa: ANN401 -- an event of Werkzeug's decoder
        if hasattr(event, "more_data"):
            if self._file is not None:
                self._file.write(event.data)
            else:
                self._take(len(event.data))
                self._pieces.append(bytes(event.data))
            if not event.more_data:
                self._end()
        elif hasattr(event, "name"):
            self._part = event
            self._pieces = []
            self._take(sum(len(name) + len(value) for name, value in event.headers))
            if hasattr(event, "filename"):
                self._file = _part_file()(_BUFFER)  # type: ignore[call-arg]

    def _take(self, size: int) -> None:
        self._memory += size
        if self._memory > self._max_memory:
            too_large(self._max_memory)

    def _end(self) -> None:
        part, file = self._part, self._file
        if file is None:
            text = b"".join(self._pieces).decode(_charset(part.headers), "replace")
            self.fields.append((part.name, text))
            return
        self._file = None
        file.seek(0)
        storage = werkzeug("datastructures").FileStorage(
            file, part.filename, part.name, headers=part.headers
        )
        self.files.append((part.name, storage))

    def close(self) -> None:
        for _, file in self.files:
            file.close()
        if self._file is not None:
            self._file.close()


def _charset(headers: Any) -> str:  # noqa: ANN401
    _, options = werkzeug("http").parse_options_header(headers.get("content-type"))
    charset: str = options.get("charset", "").lower()
    # Python has other encodings, such as "zip", which no client may choose for the application.
    return charset if charset in _CHARSETS else "utf-8"
