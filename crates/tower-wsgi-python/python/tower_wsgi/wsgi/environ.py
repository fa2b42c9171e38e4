"""`test_wsgi_environ`: the environ of a request, for tests."""

from __future__ import annotations

import asyncio
import io
import sys
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import quote, unquote_to_bytes, urlsplit
from wsgiref.util import FileWrapper

from tower_wsgi import _native

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import WSGIEnvironment

_SEPARATORS = {"cookie": "; "}
_CLIENT = ("255.0.1.2", 8080)
_SERVER = ("127.0.0.1", 8060)
_SOFTWARE = f"tower-wsgi/{_native.__version__}"


class FakeConnection:
    """``pulsar.connection`` in the environ of a test: what the server's has, without a socket.

    Without a ``loop``, ``_loop`` is the running one of asyncio, or ``None``.
    """

    address = _CLIENT
    server_address = _SERVER
    tls_version = None
    cipher = None
    server_hostname = None
    peer_certificate = None

    def __init__(
        self, is_secure: bool = False, loop: asyncio.AbstractEventLoop | None = None
    ) -> None:
        self.is_secure = is_secure
        self.cfg = _native.Server(None, _no_application, {}).cfg
        self.server_software = _SOFTWARE
        self._given_loop = loop

    @property
    def _loop(self) -> asyncio.AbstractEventLoop | None:
        if self._given_loop is None:
            try:
                return asyncio.get_running_loop()
            except RuntimeError:
                return None
        return self._given_loop

    @property
    def transport(self) -> FakeConnection:
        """The connection itself."""
        return self

    @property
    def producer(self) -> FakeConnection:
        """The connection itself."""
        return self

    def get_extra_info(self, name: str, default: object = None) -> object:
        """Return what is known of a socket: ``peername`` and ``sockname``."""
        return {"peername": _CLIENT, "sockname": _SERVER}.get(name, default)


def test_wsgi_environ(
    path: str | None = None,
    method: str | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] | None = None,
    extra: Mapping[str, object] | None = None,
    https: bool = False,
    loop: asyncio.AbstractEventLoop | None = None,
    body: bytes | None = None,
    *,
    secure: bool = False,
    url: str | None = None,
    **params: object,
) -> WSGIEnvironment:
    """Return the environ of a request, as a server creates it.

    ``path`` may have a query, may contain any characters, and may be a whole URL, which then sets
    host and scheme; ``url`` is an alias of it, as ``secure`` is of ``https``. Headers that are
    given twice are joined. ``extra`` and ``params`` are variables to add or to replace.
    ``pulsar.connection`` is a `FakeConnection`, whose ``_loop`` is ``loop``; ``pulsar.cfg`` are the
    settings of a server by default.
    """
    if path is not None and url is not None:
        raise TypeError("path and url are aliases: give only one of them")
    target_url = urlsplit(quote(path or url or "/", safe="%/:?#[]@!$&'()*+,;=~"))
    https = https or secure or target_url.scheme == "https"
    target = target_url._replace(scheme="", netloc="", fragment="").geturl() or "/"
    if not target.startswith("/"):
        target = f"/{target}"
    body = body or b""
    connection = FakeConnection(https, loop)
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": (method or "GET").upper(),
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(target.partition("?")[0]).decode("latin-1"),
        "QUERY_STRING": target_url.query,
        "REQUEST_URI": target,
        "RAW_URI": target,
        "SERVER_PROTOCOL": "HTTP/1.1",
        "SERVER_NAME": _SERVER[0],
        "SERVER_PORT": str(_SERVER[1]),
        "SERVER_SOFTWARE": _SOFTWARE,
        "REMOTE_ADDR": _CLIENT[0],
        "REMOTE_PORT": str(_CLIENT[1]),
        "HTTP_HOST": target_url.netloc or "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "https" if https else "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
        "wsgi.file_wrapper": FileWrapper,
        "pulsar.connection": connection,
        "pulsar.cfg": connection.cfg,
    }
    if https:
        environ["HTTPS"] = "on"
    if body:
        environ["CONTENT_LENGTH"] = str(len(body))
    environ.update(_header_variables(headers or ()))
    environ.update(extra or {})
    environ.update(params)
    return environ


# Otherwise pytest collects it as a test in modules that import it.
test_wsgi_environ.__test__ = False  # type: ignore[attr-defined]


def _no_application() -> NoReturn:
    raise RuntimeError("the environ of a test has no application")


def _header_variables(
    headers: Mapping[str, str] | Iterable[tuple[str, str]],
) -> dict[str, str]:
    variables: dict[str, str] = {}
    pairs = headers.items() if hasattr(headers, "items") else headers
    for name, value in pairs:
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key in variables:
            value = variables[key] + _SEPARATORS.get(name.lower(), ", ") + value
        variables[key] = value
    return variables
