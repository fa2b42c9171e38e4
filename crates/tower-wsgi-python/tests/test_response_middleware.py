from __future__ import annotations

import gzip
import io
import sys
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest
from conftest import Response, call

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = b"a line of text\n" * 100


def request(encoding: str | None = "gzip", method: str = "GET", **extra: Any) -> dict[str, Any]:
    headers = {} if encoding is None else {"Accept-Encoding": encoding}
    extra["wsgi.errors"] = io.StringIO()
    return wsgi.test_wsgi_environ("/", method, headers, extra=extra)


class App:
    """Responds in one of the ways that PEP 3333 allows, and counts how often it is closed."""

    def __init__(
        self, *chunks: bytes, way: str = "list", headers: Any = (), status: str = "200 OK"
    ) -> None:
        self.chunks = chunks
        self.way = way
        self.status = status
        self.headers = [("Content-Type", "text/plain"), *headers]
        self.closed = 0

    def __call__(self, environ: Any, start_response: Any) -> Any:
        if self.way == "list":
            start_response(self.status, self.headers)
            return list(self.chunks)
        if self.way == "write":
            write = start_response(self.status, self.headers)
            for chunk in self.chunks:
                write(chunk)
            return _Iterable(self, iter(()))
        if self.way == "file":
            start_response(self.status, self.headers)
            # It is kept, so that the garbage collector does not close it.
            self.file = _File(self, b"".join(self.chunks))
            return environ["wsgi.file_wrapper"](self.file, 100)
        if self.way == "iterable":
            start_response(self.status, self.headers)
            return _Iterable(self, iter(self.chunks))
        assert self.way == "generator"
        return _Iterable(self, self.generate(start_response))

    def generate(self, start_response: Any) -> Iterator[bytes]:
        start_response(self.status, self.headers)
        yield from self.chunks


class _Iterable:
    def __init__(self, app: App, chunks: Iterator[bytes]) -> None:
        self.app = app
        self.chunks = chunks

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        self.app.closed += 1


class _File(io.BytesIO):
    def __init__(self, app: App, content: bytes) -> None:
        super().__init__(content)
        self.app = app

    def close(self) -> None:
        self.app.closed += not self.closed
        super().close()


WAYS = ["list", "iterable", "generator", "write", "file"]


def respond(app: App, *middleware: Any, environ: Any = None) -> Response:
    result = call(wsgi.WsgiHandler([app], middleware), environ or request())
    assert app.closed == (app.way != "list"), "each body is closed exactly once"
    return result


class TestEditing:
    @pytest.mark.parametrize("way", WAYS)
    def test_headers_of_every_kind_of_response_are_edited_in_order(self, way: str) -> None:
        def first(environ: Any, response: wsgi.WsgiResponse) -> None:
            response.headers["X-Order"] = "first"

        def second(environ: Any, response: wsgi.WsgiResponse) -> wsgi.WsgiResponse:
            response.headers["X-Order"] += " second"  # type: ignore[operator]
            response.status = "203 Edited"
            return response

        result = respond(App(b"one", b"", b"two", way=way), first, second)
        assert result.status == "203 Edited"
        assert result.headers["x-order"] == "first second"
        assert result.body == b"onetwo"

    @pytest.mark.parametrize("way", [way for way in WAYS if way != "write"])
    def test_content_is_edited_and_replaced(self, way: str) -> None:
        def shout(environ: Any, response: wsgi.WsgiResponse) -> None:
            chunks = response.content
            assert chunks is not None
            response.content = (chunk.upper() for chunk in chunks)

        assert respond(App(b"one", b"two", way=way), shout).body == b"ONETWO"

        def replace(environ: Any, response: wsgi.WsgiResponse) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(403, "not for you")

        result = respond(App(b"one", b"two", way=way), replace)
        assert (result.status, result.body) == ("403 Forbidden", b"not for you")

    def test_the_content_of_what_is_pushed_cannot_be_edited(self) -> None:
        def replace(environ: Any, response: wsgi.WsgiResponse) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(403, "not for you")

        environ = request()
        result = call(wsgi.WsgiHandler([App(b"one", way="write")], [replace]), environ)
        # The page for the error is replaced in its turn, and nothing of the application is sent.
        assert (result.code, result.body) == (403, b"not for you")
        assert "sends its body by write()" in environ["wsgi.errors"].getvalue()

    @pytest.mark.parametrize("way", ["iterable", "generator"])
    def test_each_chunk_is_there_before_the_next_is_made(self, way: str) -> None:
        made: list[int] = []

        def chunks() -> Iterator[bytes]:
            for number in range(3):
                made.append(number)
                yield b"chunk"

        app = App(way=way)
        app.chunks = chunks()  # type: ignore[assignment]
        result = wsgi.WsgiHandler([app], [wsgi.AccessControl()])(
            request(), lambda *_: lambda _: None
        )
        for number, _ in enumerate(result):
            assert made == list(range(number + 1))

    @pytest.mark.parametrize("early", [True, False])
    def test_a_response_can_be_started_again_until_something_is_sent(self, early: bool) -> None:
        def recovers(environ: Any, start_response: Any) -> Iterator[bytes]:
            headers = [("Content-Type", "text/plain"), ("Content-Length", "9")]
            if early:
                start_response("200 OK", headers)
            return body(start_response, headers)

        def body(start_response: Any, headers: Any) -> Iterator[bytes]:
            if not early:
                start_response("200 OK", headers)
            yield b""
            try:
                raise KeyError
            except KeyError:
                start_response("500 Late", [("Content-Type", "text/plain")], sys.exc_info())
            yield b"an excuse"

        result = call(wsgi.WsgiHandler([recovers], [self.mark]), request())
        assert (result.status, result.body) == ("500 Late", b"an excuse")
        assert result.headers["x-mark"] == "500"
        assert "content-length" not in result.headers

    def test_once_something_is_sent_the_error_is_raised(self) -> None:
        def fails(environ: Any, start_response: Any) -> Iterator[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            yield b"half"
            try:
                raise KeyError("late")
            except KeyError:
                start_response("500 Late", [("Content-Type", "text/plain")], sys.exc_info())
            yield b"never"

        with pytest.raises(KeyError, match="late"):
            call(wsgi.WsgiHandler([fails], [self.mark]), request())

    def test_a_second_start_needs_an_error(self) -> None:
        def twice(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            start_response("200 OK", [("Content-Type", "text/plain")])
            return []

        environ = request()
        assert call(wsgi.WsgiHandler([twice], [self.mark]), environ).code == 500
        assert "start_response was called again" in environ["wsgi.errors"].getvalue()

    def test_without_a_start_the_server_complains(self) -> None:
        def never(environ: Any, start_response: Any) -> Iterator[bytes]:
            yield b"body"

        with pytest.raises(AssertionError, match="start_response"):
            call(wsgi.WsgiHandler([never], [self.mark]), request())

    def test_error_pages_are_edited_as_well(self) -> None:
        result = call(wsgi.WsgiHandler([], [self.mark]), request())
        assert (result.code, result.headers["x-mark"]) == (404, "404")

    def test_a_body_is_closed_when_a_middleware_fails(self) -> None:
        def fails(environ: Any, response: wsgi.WsgiResponse) -> None:
            raise OSError("no")

        app = App(TEXT, way="file")
        with pytest.raises(OSError, match="no"):
            call(wsgi.WsgiHandler([app], [fails]), request())
        assert app.closed == 1

    def test_a_file_stays_a_file(self) -> None:
        app = App(TEXT, way="file")
        environ = request()
        result = wsgi.WsgiHandler([app], [self.mark])(environ, lambda *_: lambda _: None)
        assert isinstance(result, FileWrapper)

    @staticmethod
    def mark(environ: Any, response: wsgi.WsgiResponse) -> None:
        response.headers["X-Mark"] = str(response.status_code)


class TestGZip:
    @pytest.mark.parametrize("way", ["list", "iterable", "generator", "file"])
    def test_a_known_length_is_compressed(self, way: str) -> None:
        headers = [("Content-Length", str(len(TEXT))), ("ETag", '"1"'), ("Accept-Ranges", "bytes")]
        app = App(TEXT[:700], TEXT[700:], way=way, headers=headers)
        result = respond(app, wsgi.GZipMiddleware())
        assert result.headers["content-encoding"] == "gzip"
        assert result.headers["etag"] == 'W/"1"'
        assert "accept-ranges" not in result.headers
        assert len(result.body) < len(TEXT) / 2
        assert gzip.decompress(result.body) == TEXT
        length = str(len(result.body)) if way == "list" else None
        assert result.headers.get("content-length") == length

    @pytest.mark.parametrize("way", ["iterable", "generator", "file", "write"])
    def test_a_stream_goes_as_it_comes(self, way: str) -> None:
        result = respond(App(TEXT[:700], TEXT[700:], way=way), wsgi.GZipMiddleware())
        assert "content-encoding" not in result.headers
        assert result.body == TEXT

    def test_what_is_pushed_is_not_compressed_even_if_its_length_is_known(self) -> None:
        app = App(TEXT, way="write", headers=[("Content-Length", str(len(TEXT)))])
        result = respond(app, wsgi.GZipMiddleware())
        assert "content-encoding" not in result.headers
        assert result.body == TEXT

    @pytest.mark.parametrize(
        ("encoding", "compressed"),
        [
            ("gzip", True),
            ("deflate, GZip;q=0.5", True),
            ("*", True),
            ("x-gzip", True),
            ("gzip;q=0", False),
            ("gzip; q=0.0, *", False),
            ("identity, gzip;q=0.5", False),
            ("*;q=0", False),
            ("br", False),
            ("gzip;q=much", False),
            ("gzip;q=7", False),
            ("", False),
            (None, False),
        ],
    )
    def test_the_client_decides(self, encoding: str | None, compressed: bool) -> None:
        result = respond(App(TEXT), wsgi.GZipMiddleware(), environ=request(encoding))
        assert ("content-encoding" in result.headers) is compressed
        assert result.headers["vary"] == "Accept-Encoding"

    def test_the_shortest_that_is_compressed(self) -> None:
        assert "content-encoding" in respond(App(TEXT[:200]), wsgi.GZipMiddleware()).headers
        assert "content-encoding" in respond(App(TEXT[:10]), wsgi.GZipMiddleware(10)).headers

    @pytest.mark.parametrize(
        "app",
        [
            App(TEXT[:199]),
            App(TEXT, status="404 Not Found"),
            App(TEXT, headers=[("Content-Encoding", "br")]),
            App(TEXT, headers=[("Cache-Control", "private, No-Transform")]),
        ],
    )
    def test_what_is_not_for_it_goes_as_it_is(self, app: App) -> None:
        result = respond(app, wsgi.GZipMiddleware())
        assert result.body == b"".join(app.chunks)
        assert result.headers["vary"] == "Accept-Encoding"

    @pytest.mark.parametrize(
        ("content_type", "compressed"),
        [
            ("text/html; charset=utf-8", True),
            ("application/json", True),
            ("image/svg+xml", True),
            ("image/png", False),
            ("Video/mp4", False),
            ("audio/ogg", False),
            ("application/zip", False),
        ],
    )
    def test_what_is_compressed_already_goes_as_it_is(
        self, content_type: str, compressed: bool
    ) -> None:
        app = App(TEXT)
        app.headers = [("Content-Type", content_type)]
        assert ("content-encoding" in respond(app, wsgi.GZipMiddleware()).headers) is compressed

    def test_a_head_has_no_length_of_other_content(self) -> None:
        app = App(TEXT, way="file", headers=[("Content-Length", str(len(TEXT)))])
        result = respond(app, wsgi.GZipMiddleware(), environ=request(method="HEAD"))
        assert result.headers["content-length"] == str(len(TEXT))
        assert "content-encoding" not in result.headers

    @pytest.mark.parametrize(
        ("vary", "expected"),
        [
            ("Cookie", "Cookie, Accept-Encoding"),
            ("Cookie, accept-encoding", "Cookie, accept-encoding"),
            ("*", "*"),
        ],
    )
    def test_vary_is_added_once(self, vary: str, expected: str) -> None:
        app = App(TEXT, headers=[("Vary", vary)])
        assert respond(app, wsgi.GZipMiddleware()).headers["vary"] == expected


class TestAccessControl:
    def test_the_headers_are_added(self) -> None:
        result = respond(App(), wsgi.AccessControl())
        assert result.headers["access-control-allow-origin"] == "*"
        assert "access-control-allow-methods" not in result.headers

    def test_with_methods(self) -> None:
        for methods in ("GET, POST", ["GET", "POST"]):
            result = respond(App(), wsgi.AccessControl("https://example.org", methods))
            assert result.headers["access-control-allow-origin"] == "https://example.org"
            assert result.headers["access-control-allow-methods"] == "GET, POST"

    def test_only_a_success_can_be_read(self) -> None:
        result = respond(App(status="401 Unauthorized"), wsgi.AccessControl())
        assert "access-control-allow-origin" not in result.headers
