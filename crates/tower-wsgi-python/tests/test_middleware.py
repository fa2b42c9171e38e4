from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from conftest import call

from tower_wsgi import wsgi


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class TestCleanPath:
    @pytest.mark.parametrize(
        ("path", "query", "location"),
        [
            ("//news///today", "page=1", "/news/today?page=1"),
            ("bla//foo", "page=1", "/bla/foo?page=1"),
            ("//evil.example//x", "", "/evil.example/x"),
            ("//a b/caf\xc3\xa9?\r\nX: y", "", "/a%20b/caf%C3%A9%3F%0D%0AX:%20y"),
        ],
    )
    def test_doubled_slashes_are_redirected(self, path: str, query: str, location: str) -> None:
        environ = wsgi.test_wsgi_environ(extra={"PATH_INFO": path, "QUERY_STRING": query})
        with pytest.raises(wsgi.HttpRedirect) as raised:
            wsgi.clean_path_middleware(environ)
        assert raised.value.status == 302
        assert raised.value.location == location

    def test_the_mount_point_stays(self) -> None:
        environ = wsgi.test_wsgi_environ("/a//b", extra={"SCRIPT_NAME": "/shop"})
        with pytest.raises(wsgi.HttpRedirect) as raised:
            wsgi.clean_path_middleware(environ)
        assert raised.value.location == "/shop/a/b"

    def test_the_client_is_redirected(self) -> None:
        handler = wsgi.WsgiHandler([wsgi.clean_path_middleware, hello])
        response = call(handler, wsgi.test_wsgi_environ(extra={"PATH_INFO": "/a//b"}))
        assert (response.status, response.headers["location"]) == ("302 Found", "/a/b")
        assert (response.body, response.headers["content-length"]) == (b"", "0")

    def test_a_clean_path_goes_on(self) -> None:
        handler = wsgi.WsgiHandler([wsgi.clean_path_middleware, hello])
        assert call(handler, wsgi.test_wsgi_environ("/a/b?c=//d")).body == b"hello"


class TestAuthorization:
    @staticmethod
    def parsed(header: str | None) -> Any:
        headers = {} if header is None else {"Authorization": header}
        environ = wsgi.test_wsgi_environ(headers=headers)
        assert wsgi.authorization_middleware(environ) is None  # type: ignore[func-returns-value]
        return environ.get("http.authorization", "absent")

    def test_basic(self) -> None:
        auth = self.parsed("basic " + base64.b64encode("Zoë:a:b".encode()).decode())
        assert auth == wsgi.BasicAuth("Zoë", "a:b")
        assert auth.authenticated({}, "Zoë", "a:b")
        assert not auth.authenticated({}, "Zoë", "a")
        assert not auth.authenticated({}, "Zoe", "a:b")

    def test_digest(self) -> None:
        auth = self.parsed(
            'Digest username="Mufasa", realm="a, b", nonce="x=", uri="/dir", '
            'qop=auth, nc=00000001, response="6629"'
        )
        assert isinstance(auth, wsgi.DigestAuth)
        assert auth.username == "Mufasa"
        assert auth.parameters["realm"] == "a, b"
        assert auth.parameters["nonce"] == "x="
        assert auth.parameters["qop"] == "auth"

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "Basic",
            "Basic !!!",
            "Basic " + base64.b64encode(b"no colon").decode(),
            "Basic " + base64.b64encode(b"\xff:\xff").decode(),
            "Basic \xe9",
            "Digest",
            'Digest username="only"',
            "Digest username",
            "Bearer token",
        ],
    )
    def test_what_is_neither_is_none(self, header: str) -> None:
        assert self.parsed(header) is None

    def test_without_the_header_nothing_is_set(self) -> None:
        assert self.parsed(None) == "absent"

    def test_what_is_set_already_stays(self) -> None:
        environ = wsgi.test_wsgi_environ(
            headers={"Authorization": "Bearer x"}, extra={"http.authorization": "me"}
        )
        wsgi.authorization_middleware(environ)
        assert environ["http.authorization"] == "me"


class TestMarkers:
    def test_they_change_nothing(self) -> None:
        environ = wsgi.test_wsgi_environ()
        before = dict(environ)
        assert wsgi.wait_for_body_middleware(environ, None) is None  # type: ignore[func-returns-value]
        assert environ == before
        assert wsgi.middleware_in_executor(hello) is hello


class TestErrorPages:
    @staticmethod
    def page(error: Exception, accept: str = "", method: str = "GET") -> Any:
        def application(environ: Any, start_response: Any) -> list[bytes]:
            raise error

        headers = {"Accept": accept} if accept else {}
        environ = wsgi.test_wsgi_environ("/", method, headers, extra={"wsgi.errors": io.StringIO()})
        response = call(wsgi.WsgiHandler([application]), environ)
        return response, environ["wsgi.errors"].getvalue()

    @pytest.mark.parametrize(
        ("accept", "content_type"),
        [
            ("", "text/plain"),
            ("*/*", "text/plain"),
            ("image/png", "text/plain"),
            ("text/html,application/xhtml+xml,*/*;q=0.8", "text/html"),
            ("application/json", "application/json"),
            ("Application/JSON, text/html;q=0.5", "application/json"),
            ("text/html;q=0.2, application/*;q=0.3", "application/json"),
            ("text/plain;q=0, text/*", "text/html"),
            ("text/html;q=broken, application/json;q=0.1", "application/json"),
            ("text/html;q=nan, application/json;q=0.1", "application/json"),
        ],
    )
    def test_the_client_chooses_the_form(self, accept: str, content_type: str) -> None:
        response, _ = self.page(wsgi.PermissionDenied("<no & no>"), accept)
        assert response.status == "403 Forbidden"
        assert response.headers["content-type"].partition(";")[0] == content_type
        assert response.headers["vary"] == "Accept"
        assert response.headers["content-length"] == str(len(response.body))
        if content_type == "application/json":
            assert json.loads(response.body) == {
                "status": 403,
                "error": "Forbidden",
                "message": "<no & no>",
            }
        elif content_type == "text/html":
            assert b"<h1>403 Forbidden</h1>\n<p>&lt;no &amp; no&gt;</p>" in response.body
        else:
            assert response.body == b"403 Forbidden\n<no & no>\n"

    def test_a_head_gets_the_length_only(self) -> None:
        response, _ = self.page(wsgi.Http404(), method="HEAD")
        assert response.body == b""
        assert int(response.headers["content-length"]) > 10

    def test_headers_of_the_exception_are_sent(self) -> None:
        response, _ = self.page(wsgi.Http401('Basic realm="here"'))
        assert (response.code, response.headers["www-authenticate"]) == (401, 'Basic realm="here"')
        response, _ = self.page(wsgi.MethodNotAllowed(headers=[("Allow", "GET"), ("Allow", "PUT")]))
        assert (response.code, response.headers["allow"]) == (405, "GET, PUT")

    @pytest.mark.parametrize(
        ("error", "status"),
        [
            (wsgi.BadRequest(), "400 Bad Request"),
            (wsgi.HttpGone(), "410 Gone"),
            (wsgi.Unsupported(), "415 Unsupported Media Type"),
            (wsgi.HttpException("", 418), "418 I'm a Teapot"),
            (wsgi.HttpException("", 499), "499 Unknown"),
            (wsgi.HttpException("out of order", 503), "503 Service Unavailable"),
            (wsgi.HttpException(), "500 Internal Server Error"),
            (wsgi.HttpRedirect("/é", 308), "308 Permanent Redirect"),
            (ValueError(), "500 Internal Server Error"),
        ],
    )
    def test_the_status(self, error: Exception, status: str) -> None:
        response, log = self.page(error)
        assert response.status.lower() == status.lower()
        # What is the server's fault is logged, what is the client's is not.
        assert (type(error).__name__ in log) is (response.code >= 500)

    def test_an_unprocessable_entity(self) -> None:
        assert self.page(wsgi.UnprocessableEntity("no"))[0].code == 422

    def test_the_status_of_other_exceptions_means_nothing(self) -> None:
        class FromElsewhere(Exception):
            status = code = 302

        assert self.page(FromElsewhere())[0].code == 500

    def test_a_location_cannot_hold_a_header(self) -> None:
        response, _ = self.page(wsgi.HttpRedirect("/a\r\nSet-Cookie: b"))
        assert response.headers["location"] == "/a%0D%0ASet-Cookie:%20b"
        assert "set-cookie" not in response.headers


class TestResponse:
    def test_text_bytes_and_nothing(self) -> None:
        response = call(wsgi.WsgiResponse(201, "Zoë"), wsgi.test_wsgi_environ())
        assert response.status == "201 Created"
        assert response.body == "Zoë".encode()
        assert response.headers == {
            "content-type": "text/plain; charset=utf-8",
            "content-length": "4",
        }
        response = wsgi.WsgiResponse(content=b"{}", content_type="application/json")
        assert (
            call(response, wsgi.test_wsgi_environ()).headers["content-type"] == "application/json"
        )
        response = call(wsgi.WsgiResponse(204), wsgi.test_wsgi_environ())
        assert (response.headers, response.body) == ({}, b"")

    def test_a_status_in_full(self) -> None:
        response = wsgi.WsgiResponse("299 Fine", (), [("X-A", "1"), ("X-A", "2")])
        assert response.status_code == 299
        assert response.headers.get_all("x-a") == ["1", "2"]
        response.status_code = 404
        assert response.status == "404 Not Found"
