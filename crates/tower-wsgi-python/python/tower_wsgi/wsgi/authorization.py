"""Parsing the header ``Authorization``."""

from __future__ import annotations

import base64
import binascii
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment


@dataclass(frozen=True)
class BasicAuth:
    """A user name and a password (RFC 7617)."""

    username: str
    password: str
    type: str = "basic"

    def authenticated(
        self,
        environ: WSGIEnvironment,
        username: str,
        password: str,
    ) -> bool:
        """Whether the user name and the password are these."""
        return _same(self.username, username) & _same(self.password, password)


@dataclass(frozen=True)
class DigestAuth:
    """The parameters of a digest as the client sent them (RFC 7616).

    They are not verified: only the application knows the nonces that it has issued.
    """

    parameters: Mapping[str, str]
    type: str = "digest"

    @property
    def username(self) -> str:
        """The user name."""
        return self.parameters["username"]


def authorization_middleware(
    environ: WSGIEnvironment,
    start_response: StartResponse | None = None,
) -> None:
    """Set ``environ["http.authorization"]`` to the parsed header ``Authorization``.

    It is a `BasicAuth`, a `DigestAuth`, or ``None`` for any other or malformed header. Without the
    header it is not set. No request is rejected: that is the application's decision.
    """
    header = environ.get("HTTP_AUTHORIZATION")
    if header is not None and environ.get("http.authorization") is None:
        environ["http.authorization"] = parse_authorization_header(header)


def parse_authorization_header(value: str, charset: str = "utf-8") -> BasicAuth | DigestAuth | None:
    """Parse the header; ``None`` if it is malformed, or neither ``Basic`` nor ``Digest``."""
    scheme, _, credentials = value.strip().partition(" ")
    if scheme.lower() == "basic":
        return _basic(credentials.strip(), charset)
    if scheme.lower() == "digest":
        return _digest(credentials)
    return None


def _basic(credentials: str, charset: str) -> BasicAuth | None:
    try:
        text = base64.b64decode(credentials, validate=True).decode(charset)
    except (binascii.Error, ValueError):
        return None
    username, colon, password = text.partition(":")
    return BasicAuth(username, password) if colon else None


def _digest(credentials: str) -> DigestAuth | None:
    # Imported on demand, because the import is slow.
    from urllib.request import parse_http_list

    parameters: dict[str, str] = {}
    for item in parse_http_list(credentials):
        name, equals, value = item.partition("=")
        if not equals:
            return None
        value = value.strip()
        if len(value) > 1 and value[0] == value[-1] == '"':
            value = value[1:-1]
        parameters[name.strip().lower()] = value
    required = ("username", "realm", "nonce", "uri", "response")
    return DigestAuth(parameters) if all(name in parameters for name in required) else None


def _same(one: str, other: str) -> bool:
    # In constant time, so that the duration reveals nothing about the secret.
    return hmac.compare_digest(one.encode(), other.encode())
