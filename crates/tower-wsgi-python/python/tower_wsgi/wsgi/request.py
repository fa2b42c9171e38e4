"""`WsgiRequest`: what an environ says, and what is remembered while its request lasts."""

from __future__ import annotations

import json
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload
from urllib.parse import quote, urlencode, urlsplit

from tower_wsgi.wsgi.awaitables import ready
from tower_wsgi.wsgi.body import is_json, media_type, parse_json, read_body
from tower_wsgi.wsgi.errors import Unsupported
from tower_wsgi.wsgi.extra import werkzeug
from tower_wsgi.wsgi.forms import WITH_BODY, parse_form_data, parse_query
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Iterable, Mapping

    from _typeshed.wsgi import WSGIEnvironment
    from typing_extensions import Self
    from werkzeug.datastructures import (
        Accept,
        CharsetAccept,
        FileStorage,
        LanguageAccept,
        MIMEAccept,
        MultiDict,
    )

_T = TypeVar("_T")

_SAFE = "/:@!$&'()*+,;=~"


class RequestCache(SimpleNamespace):
    """``environ["pulsar.cache"]``: attributes that last as long as the request."""

    def get(self, name: str, default: object = None) -> Any:  # noqa: ANN401 -- any value
        """Return an attribute, or the default."""
        return self.__dict__.get(name, default)

    def pop(self, name: str, default: object = None) -> Any:  # noqa: ANN401
        """Remove an attribute and return it, or the default."""
        return self.__dict__.pop(name, default)

    def __contains__(self, name: object) -> bool:
        return name in self.__dict__


class wsgi_cached(Generic[_T]):  # noqa: N801 -- pulsar's name
    """A property of a request that is computed once for the request, and kept in its ``cache``."""

    def __init__(self, compute: Callable[[Any], _T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, request: None, owner: type) -> Self: ...
    @overload
    def __get__(self, request: WsgiRequest, owner: type) -> _T: ...
    def __get__(self, request: WsgiRequest | None, owner: type) -> Self | _T:
        if request is None:
            return self
        values = request.cache.__dict__
        if self._name not in values:
            values[self._name] = self._compute(request)
        found: _T = values[self._name]
        return found


class WsgiRequest:
    """The request of an environ. `wsgi_request` returns it.

    Two requests of one environ share their `cache`, in which everything that has been parsed is
    kept. The server has applied the fields of trusted proxies (``X-Forwarded-For`` and others)
    to the environ already; they are not looked at here.

    The parsing of forms, queries, cookies and ``Accept`` fields is Werkzeug's, which the extra
    ``tower-wsgi[router]`` installs. A malformed body raises `BadRequest`, and one that is larger
    than the class attributes allow `HttpException` with status 413; `set_wsgi_request_class` sets
    a subclass with other limits.
    """

    max_memory = 16 << 20
    """The most bytes of a body that are parsed in memory; of ``multipart/form-data``, those of its
    fields. A larger body is a 413. Files are limited by the server's ``max_body_size`` only."""

    max_form_parts = 1000
    """The most parts of ``multipart/form-data``."""

    max_json_depth = 100
    """How deep arrays and objects may be nested."""

    def __init__(
        self,
        environ: WSGIEnvironment,
        app_handler: object = None,
        urlargs: Mapping[str, Any] | None = None,
    ) -> None:
        self.environ = environ
        cache = environ.get("pulsar.cache")
        if cache is None:
            cache = environ["pulsar.cache"] = RequestCache()
        self.cache: RequestCache = cache
        if app_handler is not None:
            cache.app_handler = app_handler
        if urlargs is not None:
            cache.urlargs = urlargs

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.first_line}>"

    @property
    def app_handler(self) -> Any:  # noqa: ANN401
        """The router or other handler that has taken the request."""
        return self.cache.get("app_handler")

    @property
    def urlargs(self) -> Mapping[str, Any]:
        """The variables of the path, from the router."""
        return self.cache.get("urlargs") or {}

    @property
    def connection(self) -> Any:  # noqa: ANN401
        """``environ["pulsar.connection"]``."""
        return self.environ.get("pulsar.connection")

    @property
    def cfg(self) -> Any:  # noqa: ANN401
        """The settings of the server, ``environ["pulsar.cfg"]``."""
        return self.environ.get("pulsar.cfg")

    @property
    def logger(self) -> logging.Logger:
        """The logger ``tower_wsgi``."""
        import logging

        return logging.getLogger("tower_wsgi")

    @wsgi_cached
    def response(self) -> WsgiResponse:
        """A response for this request, to edit and return."""
        return WsgiResponse()

    # The request line.

    @property
    def method(self) -> str:
        """The method, such as ``GET``."""
        method: str = self.environ["REQUEST_METHOD"]
        return method

    @property
    def first_line(self) -> str:
        """The first line of the request."""
        target = self.environ.get("RAW_URI") or self.full_path()
        return f"{self.method} {target} {self.environ.get('SERVER_PROTOCOL', '')}".rstrip()

    @property
    def path(self) -> str:
        """The decoded path below `script_name`."""
        return _decoded(self.environ.get("PATH_INFO", ""))

    @property
    def script_name(self) -> str:
        """The decoded path at which the application is mounted."""
        return _decoded(self.environ.get("SCRIPT_NAME", ""))

    @property
    def uri(self) -> str:
        """The absolute URI of this path, without a query."""
        return self.absolute_uri()

    @wsgi_cached
    def url_data(self) -> MultiDict[str, str]:
        """The parameters of the query. Blank ones are kept."""
        return parse_query(_decoded(self.environ.get("QUERY_STRING", "")))

    @property
    def is_secure(self) -> bool:
        """Whether the client uses TLS."""
        return self.environ.get("HTTPS") == "on" or self.environ.get("wsgi.url_scheme") == "https"

    def full_path(self, path: str | None = None, **query: object) -> str:
        """Return the quoted path with ``query``, for a link within this site.

        Without ``path`` it is that of this request; a relative ``path`` is one below it. An
        absolute ``path`` is one of the application: `script_name` is put before it.
        """
        full = quote(self.script_name + ("" if path and path.startswith("/") else self.path), _SAFE)
        if path:
            # Delimiters of a URI are not quoted, nor is anything that is quoted already.
            path = quote(path, safe=f"{_SAFE}%?#[]")
            full = full + path if path.startswith("/") else f"{full.rstrip('/')}/{path}"
        if query:
            full += ("&" if "?" in full else "?") + urlencode(query, doseq=True)
        return full

    def absolute_uri(
        self, location: str | None = None, scheme: str | None = None, **query: object
    ) -> str:
        """Return the URI with the scheme and host of this request: see `full_path`.

        An absolute ``location`` is returned as it is.
        """
        if location and urlsplit(location).scheme:
            if scheme:
                raise ValueError("an absolute location has a scheme already")
            return quote(location, safe=f"{_SAFE}%?#[]")
        scheme = scheme or ("https" if self.is_secure else "http")
        return f"{scheme}://{self.get_host()}{self.full_path(location, **query)}"

    def get_host(self, use_x_forwarded: bool = True) -> str:
        """Return the host that the client asked for, with its port unless that is the default.

        ``use_x_forwarded``, an argument of pulsar, is ignored: see `WsgiRequest`.
        """
        if host := self.environ.get("HTTP_HOST"):
            return str(host)
        port = str(self.environ["SERVER_PORT"])
        name = str(self.environ["SERVER_NAME"])
        return name if port == ("443" if self.is_secure else "80") else f"{name}:{port}"

    def get_client_address(self, use_x_forwarded: bool = True) -> str:
        """Return the address of the client; ``use_x_forwarded`` is as in `get_host`."""
        return str(self.environ.get("REMOTE_ADDR", ""))

    # The header fields.

    def get(self, key: str, default: object = None) -> Any:  # noqa: ANN401
        """Return a variable of the environ, or the default."""
        return self.environ.get(key, default)

    @property
    def is_xhr(self) -> bool:
        """Whether a script of a page says that it has sent the request."""
        header: str = self.environ.get("HTTP_X_REQUESTED_WITH", "")
        return header.lower() == "xmlhttprequest"

    @wsgi_cached
    def cookies(self) -> MultiDict[str, str]:
        """The cookies that the client has sent, by name."""
        cookies: MultiDict[str, str] = werkzeug("http").parse_cookie(
            self.environ.get("HTTP_COOKIE", "")
        )
        return cookies

    @wsgi_cached
    def content_types(self) -> MIMEAccept:
        """The media types that the client accepts, the best one first."""
        accepted: MIMEAccept = self._accepted("HTTP_ACCEPT", "MIMEAccept", "*/*")
        return accepted

    @wsgi_cached
    def charsets(self) -> CharsetAccept:
        """The charsets that the client accepts."""
        accepted: CharsetAccept = self._accepted("HTTP_ACCEPT_CHARSET", "CharsetAccept", "*")
        return accepted

    @wsgi_cached
    def encodings(self) -> Accept:
        """The content codings that the client accepts, such as ``gzip``."""
        accepted: Accept = self._accepted("HTTP_ACCEPT_ENCODING", "Accept", "identity")
        return accepted

    @wsgi_cached
    def languages(self) -> LanguageAccept:
        """The languages that the client accepts."""
        accepted: LanguageAccept = self._accepted("HTTP_ACCEPT_LANGUAGE", "LanguageAccept", "*")
        return accepted

    def _accepted(self, key: str, kind: str, default: str) -> Any:  # noqa: ANN401
        accept = getattr(werkzeug("datastructures"), kind)
        return werkzeug("http").parse_accept_header(self.environ.get(key) or default, accept)

    # The body.

    @property
    def input(self) -> Any:  # noqa: ANN401
        """``environ["wsgi.input"]``."""
        return self.environ["wsgi.input"]

    @property
    def content_type_options(self) -> tuple[str, Mapping[str, str]]:
        """The media type of the body, and its parameters."""
        media, options = werkzeug("http").parse_options_header(self.environ.get("CONTENT_TYPE"))
        return media.lower(), options

    @property
    def encoding(self) -> str:
        """The charset that the client names for the body; ``utf-8`` if it names none."""
        return self.content_type_options[1].get("charset", "utf-8")

    @wsgi_cached
    def json(self) -> Any:  # noqa: ANN401
        """The body as JSON. If the client says that it is anything else, `Unsupported`."""
        if not is_json(media_type(self.environ)):
            raise Unsupported("The body of the request must be JSON.")
        return parse_json(read_body(self.environ, self.max_memory), self.max_json_depth)

    def data_and_files(self, data: bool = True, files: bool = True) -> Any:  # noqa: ANN401
        """Return the parsed body and the files in it, or the one that is asked for.

        The data is a `MultiDict` of a form, the value of a JSON text, or the bytes of any other
        body; it is empty for a method without a body. The files are a `MultiDict`, or ``None``
        where there can be none.

        An asynchronous handler may await the result, as in pulsar.
        """
        result: Any = self._data_and_files
        if not files:
            result = result[0]
        elif not data:
            result = result[1]
        return ready(result)

    def body_data(self) -> Any:  # noqa: ANN401
        """Return the data of `data_and_files`."""
        return self.data_and_files(files=False)

    @wsgi_cached
    def _data_and_files(self) -> tuple[Any, MultiDict[str, FileStorage] | None]:
        return parse_form_data(self) if self.method in WITH_BODY else ({}, None)

    # The response.

    def redirect(self, path: str, code: int | None = None, permanent: bool = False) -> WsgiResponse:
        """Return `response` as a redirect: see `absolute_uri`. Its status is 302, or 301."""
        response = self.response
        response.status_code = code or (301 if permanent else 302)
        response.headers["Location"] = self.absolute_uri(path)
        return response

    def set_response_content_type(self, content_types: Iterable[str]) -> str:
        """Give `response` the type of these that the client likes best; else `Unsupported`."""
        content_types = list(content_types)
        best: str | None = self.content_types.best_match(content_types)
        if best is None:
            raise Unsupported(f"The client accepts none of {', '.join(content_types)}.")
        self.response.content_type = best
        return best

    def json_response(self, data: object, status_code: int | None = None) -> WsgiResponse:
        """Return `response` with ``data`` as JSON, if the client accepts it."""
        self.set_response_content_type(["application/json"])
        response = self.response
        response.content = json.dumps(data, allow_nan=False)
        if status_code is not None:
            response.status_code = status_code
        return response


_request_class: type[WsgiRequest] = WsgiRequest


def set_wsgi_request_class(request_class: type[WsgiRequest]) -> None:
    """Set the class of the requests that `wsgi_request` returns."""
    global _request_class
    _request_class = request_class


def wsgi_request(
    environ: WSGIEnvironment,
    app_handler: object = None,
    urlargs: Mapping[str, Any] | None = None,
) -> WsgiRequest:
    """Return the request of this environ: the same one as long as anything refers to it."""
    cache = environ.get("pulsar.cache")
    if cache is not None:
        # Not a reference: the environ would refer to itself, and wait for the garbage collector.
        request: WsgiRequest | None = cache.get("wsgi_request", _no_request)()
        if request is not None and request.environ is environ:
            if app_handler is not None:
                cache.app_handler = app_handler
            if urlargs is not None:
                cache.urlargs = urlargs
            return request
    request = _request_class(environ, app_handler, urlargs)
    request.cache.wsgi_request = weakref.ref(request)
    return request


def _no_request() -> None:
    return None


def _decoded(variable: str) -> str:
    # The variables contain bytes as Latin-1 (PEP 3333).
    return variable.encode("latin-1").decode("utf-8", "replace")
