"""`WsgiResponse`: cookies, content and where it is accepted; and the names around it."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
import requests
from conftest import PATIENCE, call

from tower_wsgi import wsgi
from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable


def cookie(response: wsgi.WsgiResponse) -> str:
    """The only cookie of a response, as it is sent."""
    ((_, value),) = (field for field in response.get_headers() if field[0] == "Set-Cookie")
    return value


class TestCookies:
    def test_a_cookie(self) -> None:
        response = wsgi.WsgiResponse()
        response.set_cookie("a", "x y")
        assert cookie(response) == 'a="x y"; Path=/'
        assert response.cookies["a"].value == "x y"

    def test_attributes(self) -> None:
        response = wsgi.WsgiResponse()
        day = datetime(2030, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
        response.set_cookie(
            "a", "1", 60, day, "/p", "example.org", True, httponly=True, samesite="Lax"
        )
        assert set(cookie(response).split("; ")) == {
            "a=1",
            "Max-Age=60",
            "expires=Wed, 02 Jan 2030 03:04:05 GMT",
            "Path=/p",
            "Domain=example.org",
            "Secure",
            "HttpOnly",
            "SameSite=Lax",
        }

    def test_an_age_is_also_a_date(self) -> None:
        response = wsgi.WsgiResponse()
        response.set_cookie("a", max_age=timedelta(days=400))
        assert "Max-Age=34560000" in cookie(response)
        assert "expires=" in cookie(response)
        naive = datetime(2030, 1, 2)
        response.set_cookie("a", expires=naive)
        assert "expires=Wed, 02 Jan 2030 00:00:00 GMT" in cookie(response)

    def test_delete(self) -> None:
        response = wsgi.WsgiResponse()
        response.delete_cookie("a", "/p", "example.org")
        assert set(cookie(response).split("; ")) == {
            'a=""',
            "Max-Age=0",
            "expires=Thu, 01 Jan 1970 00:00:00 GMT",
            "Path=/p",
            "Domain=example.org",
        }

    def test_several(self) -> None:
        response = wsgi.WsgiResponse()
        response.set_cookie("a", "1")
        response.set_cookie("b", "2")
        response.set_cookie("a", "3")
        sent = [value for name, value in response.get_headers() if name == "Set-Cookie"]
        assert sorted(sent) == ["a=3; Path=/", "b=2; Path=/"]

    def test_an_error_sets_none(self) -> None:
        for response in (wsgi.WsgiResponse(404), wsgi.WsgiResponse(can_store_cookies=False)):
            response.set_cookie("a")
            assert not response.can_set_cookies()
            assert response.get_headers() == []

    def test_no_value_adds_a_header_field(self) -> None:
        response = wsgi.WsgiResponse()
        response.set_cookie("a", "1\r\nX-Evil: 1")
        assert "\r" not in cookie(response)
        assert "\n" not in cookie(response)


class TestContent:
    def test_text_has_a_charset(self) -> None:
        for response in (
            wsgi.WsgiResponse(content="ä", content_type="text/html"),
            wsgi.WsgiResponse(content="ä", content_type="text/html", encoding="utf-8"),
        ):
            assert response.content_type == "text/html; charset=utf-8"
        latin = wsgi.WsgiResponse(content="ä", encoding="latin-1")
        assert latin.content == [b"\xe4"]
        assert latin["content-type"] == "text/plain; charset=latin-1"
        given = wsgi.WsgiResponse(content="ä", content_type="text/html; charset=utf-8")
        assert given.content_type == "text/html; charset=utf-8"
        assert wsgi.WsgiResponse(content="{}", content_type="application/json").content_type == (
            "application/json"
        )

    def test_content_may_be_set_again(self) -> None:
        response = wsgi.WsgiResponse(content="first")
        assert response.encoding == "utf-8"
        response.content = "second one"
        response.content_type = "text/css"
        assert response["Content-Length"] == "10"
        sent = call(response, wsgi.test_wsgi_environ())
        assert sent.headers["content-type"] == "text/css; charset=utf-8"
        assert sent.body == b"second one"
        response.content_type = None
        assert not response.has_header("Content-Type")

    def test_headers_as_a_mapping(self) -> None:
        response = wsgi.WsgiResponse(response_headers=[("X-A", "1")])
        assert response["x-a"] == "1"
        assert "X-A" in response
        response["X-A"] = "2"
        assert response.headers.items() == [("X-A", "2")]
        del response["X-A"]
        assert response["X-A"] is None

    def test_it_is_not_iterable(self) -> None:
        with pytest.raises(TypeError, match=r"return response\(environ, start_response\)"):
            list(wsgi.WsgiResponse())

    def test_streamed(self) -> None:
        closed = []

        def pieces() -> Any:
            try:
                yield b"a"
            finally:
                closed.append(True)

        response = wsgi.WsgiResponse(content=pieces())
        assert response.is_streamed()
        assert not wsgi.WsgiResponse(content=b"a").is_streamed()
        assert next(response.content) == b"a"  # type: ignore[arg-type]
        response.close()
        assert closed == [True]


def teapot() -> wsgi.WsgiResponse:
    response = wsgi.WsgiResponse(203, "no coffee", [("X-Tea", "1")])
    response.set_cookie("pot", "small")
    return response


def plain(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"plain"]


async def later(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
    await asyncio.sleep(0)
    return teapot()


async def replace_later(environ: Any, response: Any) -> wsgi.WsgiResponse:
    await asyncio.sleep(0)
    return teapot()


def edit(environ: Any, response: wsgi.WsgiResponse) -> None:
    response.status_code = 203
    response["X-Tea"] = "1"
    response.set_cookie("pot", "small")
    response.content = "no coffee"


@pytest.mark.parametrize(
    "handler",
    [
        wsgi.WsgiHandler([lambda environ, start: teapot()]),
        wsgi.WsgiHandler([lambda environ, start: teapot()], [lambda environ, response: None]),
        wsgi.WsgiHandler([plain], [lambda environ, response: teapot()]),
        wsgi.WsgiHandler([plain], [edit]),
        wsgi.WsgiHandler([later]),
        wsgi.WsgiHandler([lambda environ, start: later(environ, start)], [edit]),
        wsgi.WsgiHandler([plain], [replace_later]),
        wsgi.WsgiHandler([wsgi.WsgiHandler([lambda environ, start: teapot()])], [edit]),
    ],
    ids=["link", "edited", "replaced", "middleware", "async", "both", "async middleware", "chains"],
)
def test_it_is_accepted_where_a_response_is_returned(handler: Callable[..., Any]) -> None:
    with LiveServer(handler) as server:
        response = requests.get(server.url, timeout=PATIENCE)
    assert response.status_code == 203
    assert response.text == "no coffee"
    assert response.headers["X-Tea"] == "1"
    assert response.cookies["pot"] == "small"


class TestOtherNames:
    def test_form_data(self) -> None:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        environ = wsgi.test_wsgi_environ(method="POST", headers=headers, body=b"a=1")
        data, files = wsgi.parse_form_data(wsgi.wsgi_request(environ))
        assert data["a"] == "1"
        assert files is None
        with pytest.raises(wsgi.UnprocessableEntity, match="GET"):
            wsgi.parse_form_data(wsgi.wsgi_request(wsgi.test_wsgi_environ()))
        with pytest.raises(TypeError, match="streams"):
            wsgi.parse_form_data(wsgi.wsgi_request(environ), print)  # type: ignore[arg-type]

    def test_error(self) -> None:
        environ = wsgi.test_wsgi_environ()
        error = wsgi.PermissionDenied("not you")
        for given in (error, (type(error), error, None)):
            response = wsgi.handle_wsgi_error(environ, given)  # type: ignore[arg-type]
            assert response.status_code == 403
            assert b"not you" in b"".join(response.content or ())  # type: ignore[arg-type]
        with pytest.raises(SystemExit):
            wsgi.handle_wsgi_error(environ, (SystemExit, SystemExit(), None))  # type: ignore[arg-type]

    def test_traceback(self) -> None:
        request = wsgi.wsgi_request(wsgi.test_wsgi_environ())
        try:
            raise ValueError("<secret>")
        except ValueError as error:
            text = wsgi.render_error_debug(request, error)
            page = wsgi.render_error_debug(request, error, is_html=True)
        assert text.startswith("Traceback")
        assert "ValueError: <secret>" in text
        assert "ValueError: &lt;secret&gt;" in page

    def test_environ(self) -> None:
        headers = {"Cookie": "id=secret", "Authorization": "Basic secret"}
        text = wsgi.dump_environ(wsgi.test_wsgi_environ("/päth", headers=headers))
        assert "REQUEST_METHOD: 'GET'" in text.splitlines()
        assert "secret" not in text

    def test_hop_headers(self) -> None:
        assert "connection" in wsgi.HOP_HEADERS
        assert "content-length" not in wsgi.HOP_HEADERS
