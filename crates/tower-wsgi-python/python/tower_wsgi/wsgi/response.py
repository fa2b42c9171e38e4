"""`WsgiResponse`: a response that middleware can edit."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from wsgiref.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class WsgiResponse:
    """A response that response middleware can edit or replace. It is also a WSGI application.

    ``status_code`` is a number, or a whole status such as ``"200 Fine"``. ``content`` is text (sent
    as UTF-8), bytes, or anything that a WSGI application may return, also an asynchronous iterable.
    For text and bytes, ``Content-Length`` is set.
    """

    status: str
    """The status line: ``"200 OK"``."""

    headers: Headers
    """The header fields: get, set, delete and test them by name; `add_header` adds another one."""

    content: Iterable[bytes] | None
    """The body. A middleware that wraps it must not read from it before its own iteration starts.

    It is ``None``, and must stay ``None``, if the application sends its body by the function that
    ``start_response`` returns: then only the status and headers can be edited.
    """

    def __init__(
        self,
        status_code: int | str = 200,
        content: str | bytes | Iterable[bytes] | None = None,
        response_headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
    ) -> None:
        if isinstance(status_code, str):
            self.status = status_code
        else:
            self.status_code = status_code
        self.headers = Headers(list(response_headers))
        if content_type is not None:
            self.headers["Content-Type"] = content_type
        if content is None:
            content = b""
        if isinstance(content, str):
            self.headers.setdefault("Content-Type", "text/plain; charset=utf-8")
            content = content.encode()
        if isinstance(content, bytes):
            if content:
                self.headers.setdefault("Content-Length", str(len(content)))
            content = [content] if content else []
        self.content = content

    @property
    def status_code(self) -> int:
        """The status as a number. Setting it also sets the usual reason phrase."""
        return int(self.status[:3])

    @status_code.setter
    def status_code(self, code: int) -> None:
        try:
            reason = HTTPStatus(code).phrase
        except ValueError:
            reason = "Unknown"
        self.status = f"{code} {reason}"

    def length(self) -> int | None:
        """Return the length of the content if it is known before the iteration."""
        if isinstance(self.content, (list, tuple)):
            return sum(map(len, self.content))
        declared = self.headers.get("Content-Length") or ""
        return int(declared) if self.content is not None and declared.isdecimal() else None

    def __call__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Send the response."""
        start_response(self.status, self.headers.items())
        return () if self.content is None else self.content
