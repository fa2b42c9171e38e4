"""`WsgiResponse`: a response that middleware can edit."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from http import HTTPStatus
from typing import TYPE_CHECKING, NoReturn
from wsgiref.headers import Headers

from tower_wsgi.wsgi.awaitables import close

if TYPE_CHECKING:
    from collections.abc import Iterable
    from http.cookies import SimpleCookie

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

HOP_HEADERS = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "te",
        "trailers",
        "transfer-encoding",
        "upgrade",
    )
)
"""The names of header fields that are the server's: an application may not set them (PEP 3333)."""

_EPOCH = datetime.fromtimestamp(0, timezone.utc)


class WsgiResponse:
    """A response that response middleware can edit or replace. It is also a WSGI application.

    ``status_code`` is a number, or a whole status such as ``"200 Fine"``. ``content`` is text,
    bytes, or anything that a WSGI application may return, also an asynchronous iterable. Text is
    sent as UTF-8 or in ``encoding``, which ``Content-Type`` then names; for text and bytes,
    ``Content-Length`` is set.

    ``response["X-Name"]`` is a header field, as is ``response.headers["X-Name"]``.
    """

    status: str
    """The status line: ``"200 OK"``."""

    headers: Headers
    """The header fields: get, set, delete and test them by name; `add_header` adds another one."""

    def __init__(
        self,
        status_code: int | str = 200,
        content: str | bytes | Iterable[bytes] | None = None,
        response_headers: Iterable[tuple[str, str]] = (),
        content_type: str | None = None,
        encoding: str | None = None,
        can_store_cookies: bool = True,
    ) -> None:
        if isinstance(status_code, str):
            self.status = status_code
        else:
            self.status_code = status_code
        self.headers = Headers(list(response_headers))
        self.encoding = encoding
        self.can_store_cookies = can_store_cookies
        self._cookies: SimpleCookie | None = None
        if content_type is not None:
            self.content_type = content_type
        self._set_content(b"" if content is None else content)

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

    @property
    def content_type(self) -> str | None:
        """The header field ``Content-Type``. A text type gets the charset, if ``encoding`` is set.

        Setting it to ``None`` removes it.
        """
        return self.headers.get("Content-Type")

    @content_type.setter
    def content_type(self, content_type: str | None) -> None:
        if content_type is None:
            del self.headers["Content-Type"]
            return
        self.headers["Content-Type"] = content_type
        self._add_charset()

    @property
    def content(self) -> Iterable[bytes] | None:
        """The body. Setting it to text or bytes also sets ``Content-Length``.

        A middleware that wraps it must not read from it before its own iteration starts. It is
        ``None``, and must stay ``None``, if the application sends its body by the function that
        ``start_response`` returns: then only the status and headers can be edited.
        """
        return self._content

    @content.setter
    def content(self, content: str | bytes | Iterable[bytes] | None) -> None:
        if isinstance(content, (str, bytes)):
            del self.headers["Content-Length"]
        self._set_content(content)

    def _set_content(self, content: str | bytes | Iterable[bytes] | None) -> None:
        if isinstance(content, str):
            self.encoding = self.encoding or "utf-8"
            self.headers.setdefault("Content-Type", "text/plain")
            self._add_charset()
            content = content.encode(self.encoding)
        if isinstance(content, bytes):
            if content:
                self.headers.setdefault("Content-Length", str(len(content)))
            # A plain copy of a subclass, whose methods no server expects.
            content = [bytes(content)] if content else []
        self._content: Iterable[bytes] | None = content

    def _add_charset(self) -> None:
        content_type = self.headers.get("Content-Type") or ""
        if self.encoding and content_type.startswith("text/") and ";" not in content_type:
            self.headers["Content-Type"] = f"{content_type}; charset={self.encoding}"

    def length(self) -> int | None:
        """Return the length of the content if it is known before the iteration."""
        if isinstance(self.content, (list, tuple)):
            return sum(map(len, self.content))
        declared = self.headers.get("Content-Length") or ""
        return int(declared) if self.content is not None and declared.isdecimal() else None

    def is_streamed(self) -> bool:
        """Whether the length of the content is not known before the iteration."""
        return self.length() is None

    def has_header(self, name: str) -> bool:
        """Whether there is such a header field."""
        return name in self.headers

    __contains__ = has_header

    def __getitem__(self, name: str) -> str | None:
        return self.headers[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.headers[name] = value

    def __delitem__(self, name: str) -> None:
        del self.headers[name]

    def __iter__(self) -> NoReturn:
        # Otherwise Python iterates by `__getitem__`.
        raise TypeError(
            "a WsgiResponse is not iterable: return it to a WsgiHandler, or return "
            "response(environ, start_response)"
        )

    @property
    def cookies(self) -> SimpleCookie:
        """The cookies of `set_cookie` and `delete_cookie`, by name."""
        if self._cookies is None:
            from http.cookies import SimpleCookie

            self._cookies = SimpleCookie()
        return self._cookies

    def can_set_cookies(self) -> bool:
        """Whether `cookies` are sent: not with an error, nor if ``can_store_cookies`` is false."""
        return self.can_store_cookies and self.status_code < 400

    def set_cookie(
        self,
        key: str,
        value: str = "",
        max_age: float | timedelta | None = None,
        expires: datetime | str | None = None,
        path: str | None = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
    ) -> None:
        """Let the client store a cookie.

        ``max_age`` is in seconds. ``samesite`` is ``"Lax"``, ``"Strict"`` or ``"None"``. Without
        ``max_age`` and ``expires`` the cookie is that of a session.
        """
        self.cookies[key] = value
        cookie = self.cookies[key]
        if isinstance(max_age, timedelta):
            max_age = max_age.total_seconds()
        if isinstance(expires, datetime):
            if expires.tzinfo is None:
                expires = expires.replace(tzinfo=timezone.utc)
            expires = _http_date(expires)
        if max_age is not None:
            cookie["max-age"] = str(int(max_age))
            if expires is None:
                now = datetime.now(timezone.utc)
                expires = _http_date(now + timedelta(seconds=max_age))
        for name, attribute in (
            ("expires", expires),
            ("path", path),
            ("domain", domain),
            ("samesite", samesite),
        ):
            if attribute is not None:
                cookie[name] = attribute
        cookie["secure"] = secure
        cookie["httponly"] = httponly

    def delete_cookie(self, key: str, path: str | None = "/", domain: str | None = None) -> None:
        """Let the client forget a cookie that was set with this path and domain."""
        self.set_cookie(key, max_age=0, expires=_EPOCH, path=path, domain=domain)

    def get_headers(self) -> list[tuple[str, str]]:
        """Return all header fields that are sent, those of the cookies as well."""
        fields = self.headers.items()
        if self._cookies and self.can_set_cookies():
            fields += [("Set-Cookie", cookie.OutputString()) for cookie in self._cookies.values()]
        return fields

    def close(self) -> None:
        """Close the content, if it can be closed."""
        close(self.content)

    def __call__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
    ) -> Iterable[bytes]:
        """Send the response."""
        start_response(self.status, self.get_headers())
        return () if self.content is None else self.content


def _http_date(moment: datetime) -> str:
    from email.utils import format_datetime

    return format_datetime(moment.astimezone(timezone.utc), usegmt=True)


def __getattr__(name: str) -> object:
    # pulsar's module has these. They are in one that needs this one.
    if name in ("AccessControl", "GZipMiddleware"):
        from tower_wsgi.wsgi import response_middleware

        return getattr(response_middleware, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
