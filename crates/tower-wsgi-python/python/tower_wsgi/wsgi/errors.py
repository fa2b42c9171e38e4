"""Exceptions with an HTTP status: `WsgiHandler` turns them into responses."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable


class HttpException(Exception):
    """An error response with this status and message.

    The client gets ``message`` as plain text, HTML or JSON, depending on its header ``Accept``. The
    default message explains the status. ``headers`` are added to the response.
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
    """A redirect to ``location``, which is quoted where necessary. The default status is 302."""

    status = 302

    def __init__(self, location: str, status: int | None = None) -> None:
        # Delimiters of a URI are not quoted, nor is anything that is quoted already.
        self.location = quote(location, safe="%/:?#[]@!$&'()*+,;=~")
        super().__init__("", status, headers=[("Location", self.location)])


class BadRequest(HttpException):
    """400: the request is malformed."""

    status = 400


class Http401(HttpException):
    """401: authentication is required; ``auth`` is the header ``WWW-Authenticate``."""

    status = 401

    def __init__(self, auth: str, message: str = "") -> None:
        super().__init__(message, headers=[("WWW-Authenticate", auth)])


class PermissionDenied(HttpException):
    """403: the client has no permission."""

    status = 403


class Http404(HttpException):
    """404: there is no such resource."""

    status = 404


class MethodNotAllowed(HttpException):
    """405: the method is not allowed; ``headers`` must include ``Allow``."""

    status = 405


class HttpGone(HttpException):
    """410: the resource existed, and is permanently gone."""

    status = 410


class Unsupported(HttpException):
    """415: the media type of the request is not supported."""

    status = 415


class UnprocessableEntity(HttpException):
    """422: the request is well-formed but cannot be processed."""

    status = 422
