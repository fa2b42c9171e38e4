"""`WsgiResponse`: a response that can still be edited."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING
from wsgiref.headers import Headers

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class WsgiResponse:
    """A response: what response middleware gets and may replace, and a WSGI application.

    ``status_code`` is a number, or a whole status such as ``"200 Fine"``. ``content`` may be text
    (sent as UTF-8), bytes, or what a WSGI application may return; the length of text and bytes is
    declared.
    """

    status: str
    """The status line: ``"200 OK"``."""

    headers: Headers
    """The header fields: get, set, delete and test them by name, or `add_header` another."""

    content: Iterable[bytes] | None
    """The body. A middleware that wraps it must not read from it before it is iterated itself.

    It is ``None``, and must stay so, for an application that pushes its body into the function
    that ``start_response`` gives: then only status and headers can be edited.
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
        """The status as a number; setting it sets the usual reason, too."""
        return int(self.status[:3])

    @status_code.setter
    def status_code(self, code: int) -> None:
        try:
            reason = HTTPStatus(code).phrase
        except ValueError:
            reason = "Unknown"
        self.status = f"{code} {reason}"

    def length(self) -> int | None:
        """Give the length of the content, if it is known before it is iterated."""
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
