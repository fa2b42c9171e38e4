"""Exceptions that are responses: `WsgiHandler` answers them with their status."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable


class HttpException(Exception):
    """A response with this status, and a page with this message.

    The client sees ``message``, in plain text, HTML or JSON as it accepts it. Without a message
    the page says what the status means. ``headers`` are added to the response.
    """

    status = 500

    def __init__(
        self,
        message: str = "",
        status: int | None = None,
        *,
        headers: Iterable[tuple[str, str]] = (),
    ) -> None:
        super().__init__(message)
        if status is not None:
            self.status = status
        self.headers = list(headers)


class HttpRedirect(HttpException):
    """A redirect to ``location``, which may hold any characters: 302, or as ``status`` says."""

    status = 302

    def __init__(self, location: str, status: int | None = None) -> None:
        # What has a meaning in a URI stays as it is, and so does what is quoted already.
        self.location = quote(location, safe="%/:?#[]@!$&'()*+,;=~")
        super().__init__("", status, headers=[("Location", self.location)])


class BadRequest(HttpException):
    """400: the request makes no sense."""

    status = 400


class Http401(HttpException):
    """401: the client must say who it is; ``auth`` is the header ``WWW-Authenticate``."""

    status = 401

    def __init__(self, auth: str, message: str = "") -> None:
        super().__init__(message, headers=[("WWW-Authenticate", auth)])


class PermissionDenied(HttpException):
    """403: the client may not do this."""

    status = 403


class Http404(HttpException):
    """404: there is nothing at this address."""

    status = 404


class MethodNotAllowed(HttpException):
    """405: not with this method; ``headers`` must have ``Allow``."""

    status = 405


class HttpGone(HttpException):
    """410: it was here, and will not come back."""

    status = 410


class Unsupported(HttpException):
    """415: not in this format."""

    status = 415


class UnprocessableEntity(HttpException):
    """422: understood, but what it asks for is not possible."""

    status = 422
