"""`WsgiRequest`: what it says of an environ, and the limits of what it parses."""

from __future__ import annotations

import gc
import io
import json
import subprocess
import sys
import weakref
from typing import TYPE_CHECKING, Any

import pytest
from conftest import call

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = {"Content-Type": "application/json"}
TEXT = [("Content-Type", "text/plain")]
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def request(
    path: str = "/", headers: dict[str, str] | None = None, **rest: Any
) -> wsgi.WsgiRequest:
    return wsgi.wsgi_request(wsgi.test_wsgi_environ(path, headers=headers, **rest))


def multipart(*parts: tuple[str, bytes]) -> dict[str, Any]:
    """The keywords of `request` for a form of parts, each with its headers."""
    pieces = [f"--cut\r\n{head}\r\n\r\n".encode() + body + b"\r\n" for head, body in parts]
    return {
        "method": "POST",
        "headers": {"Content-Type": "multipart/form-data; boundary=cut"},
        "body": b"".join(pieces) + b"--cut--\r\n",
    }


def field(name: str, filename: str | None = None) -> str:
    head = f'Content-Disposition: form-data; name="{name}"'
    return head if filename is None else f'{head}; filename="{filename}"'


@pytest.fixture
def limited() -> Iterator[None]:
    """Requests with small limits."""

    class Limited(wsgi.WsgiRequest):
        max_memory = 200
        max_form_parts = 3
        max_json_depth = 3

    wsgi.set_wsgi_request_class(Limited)
    yield
    wsgi.set_wsgi_request_class(wsgi.WsgiRequest)


class TestOneRequest:
    def test_an_environ_has_one_request(self) -> None:
        environ = wsgi.test_wsgi_environ()
        first = wsgi.wsgi_request(environ)
        assert wsgi.wsgi_request(environ) is first
        assert wsgi.wsgi_request(wsgi.test_wsgi_environ()) is not first

    def test_a_copy_of_the_environ_has_the_same_cache(self) -> None:
        environ = wsgi.test_wsgi_environ()
        first = wsgi.wsgi_request(environ)
        first.cache.user = "me"
        second = wsgi.wsgi_request({**environ, "PATH_INFO": "/elsewhere"})
        assert second.path == "/elsewhere"
        assert second.cache.user == "me"
        assert environ["pulsar.cache"] is second.cache

    def test_the_cache_outlives_the_request(self) -> None:
        environ = wsgi.test_wsgi_environ("/?a=1")
        data = wsgi.wsgi_request(environ).url_data
        wsgi.wsgi_request(environ).cache.seen = True
        assert wsgi.wsgi_request(environ).url_data is data
        cache = environ["pulsar.cache"]
        assert "seen" in cache
        assert cache.pop("seen") is True
        assert cache.get("seen") is None
        assert cache.pop("seen", 1) == 1
        with pytest.raises(AttributeError):
            _ = cache.seen

    def test_no_reference_cycle_keeps_it(self) -> None:
        environ = wsgi.test_wsgi_environ(method="POST", headers=FORM, body=b"a=1")
        wanted = wsgi.wsgi_request(environ)
        assert wanted.body_data()["a"] == "1"
        assert wanted.response
        seen, body = weakref.ref(wanted), weakref.ref(environ["wsgi.input"])
        gc.disable()
        try:
            del wanted, environ
            assert seen() is None
            assert body() is None
        finally:
            gc.enable()

    def test_the_router_says_who_handles_it(self) -> None:
        environ = wsgi.test_wsgi_environ()
        wanted = wsgi.wsgi_request(environ)
        assert wanted.app_handler is None
        assert wanted.urlargs == {}
        assert wsgi.wsgi_request(environ, "router", {"id": 3}) is wanted
        assert wanted.app_handler == "router"
        assert wanted.urlargs == {"id": 3}

    def test_another_class(self, limited: None) -> None:
        assert type(request()).__name__ == "Limited"

    def test_a_cached_property_is_computed_once(self) -> None:
        class Mine(wsgi.WsgiRequest):
            count = 0

            @wsgi.wsgi_cached
            def user(self) -> str:
                """Who it is."""
                Mine.count += 1
                return "me"

        environ = wsgi.test_wsgi_environ()
        assert Mine(environ).user == Mine(environ).user == "me"
        assert Mine.count == 1
        assert Mine.user.__doc__ == "Who it is."


class TestLine:
    def test_path(self) -> None:
        wanted = request("/näh/%25?x=1", SCRIPT_NAME="/app")
        assert wanted.method == "GET"
        assert wanted.path == "/näh/%"
        assert wanted.script_name == "/app"
        assert wanted.first_line == "GET /n%C3%A4h/%25?x=1 HTTP/1.1"
        assert wanted.full_path() == "/app/n%C3%A4h/%25"
        assert wanted.full_path(x=[1, 2], y="ä b") == "/app/n%C3%A4h/%25?x=1&x=2&y=%C3%A4+b"
        assert wanted.full_path("more") == "/app/n%C3%A4h/%25/more"
        assert wanted.full_path("/other ä%20?next=/", a=1) == "/app/other%20%C3%A4%20?next=/&a=1"

    def test_uri(self) -> None:
        wanted = request("/a", {"Host": "example.org:81"})
        assert wanted.uri == "http://example.org:81/a"
        assert wanted.absolute_uri("/b", x=1) == "http://example.org:81/b?x=1"
        assert wanted.absolute_uri(scheme="https") == "https://example.org:81/a"
        assert wanted.absolute_uri("https://elsewhere.org/ä") == "https://elsewhere.org/%C3%A4"
        # A path that a client has chosen stays on this site.
        assert wanted.absolute_uri("//elsewhere.org") == "http://example.org:81//elsewhere.org"
        with pytest.raises(ValueError, match="scheme"):
            wanted.absolute_uri("https://elsewhere.org", scheme="http")

    def test_host(self) -> None:
        assert request(headers={"Host": "example.org"}).get_host() == "example.org"
        environ = wsgi.test_wsgi_environ(SERVER_NAME="here", SERVER_PORT="8060")
        del environ["HTTP_HOST"]
        assert wsgi.wsgi_request(environ).get_host() == "here:8060"
        assert wsgi.wsgi_request({**environ, "SERVER_PORT": "80"}).get_host() == "here"
        secure = {**environ, "SERVER_PORT": "443", "HTTPS": "on"}
        assert wsgi.wsgi_request(secure).get_host() == "here"

    def test_no_client_is_trusted_to_forward(self) -> None:
        wanted = request(
            headers={
                "Host": "example.org",
                "X-Forwarded-Host": "evil.org",
                "X-Forwarded-For": "1.2.3.4",
                "X-Forwarded-Proto": "https",
            }
        )
        assert wanted.get_host() == "example.org"
        assert wanted.get_client_address() == "255.0.1.2"
        assert not wanted.is_secure

    def test_secure(self) -> None:
        assert request(https=True).is_secure
        assert not request().is_secure

    def test_query(self) -> None:
        data = request("/?a=1&a=2&b=&c=ä").url_data
        assert data["a"] == "1"
        assert data.getlist("a") == ["1", "2"]
        assert data["b"] == ""
        assert data["c"] == "ä"


class TestFields:
    def test_xhr(self) -> None:
        assert request(headers={"X-Requested-With": "XMLHttpRequest"}).is_xhr
        assert not request().is_xhr

    def test_cookies(self) -> None:
        cookies = request(headers={"Cookie": 'a=1; b="x y"; =; broken; c=ok'}).cookies
        assert cookies["a"] == "1"
        assert cookies["b"] == "x y"
        assert cookies["c"] == "ok"

    def test_accept(self) -> None:
        wanted = request(headers={"Accept": "text/html;q=0.5, application/json"})
        assert wanted.content_types.best == "application/json"
        assert wanted.content_types.quality("text/html") == 0.5
        assert "image/png" not in wanted.content_types
        assert wanted.content_types.best_match(["text/html", "image/png"]) == "text/html"
        assert request().content_types.best_match(["text/html", "text/plain"]) == "text/html"
        assert request(headers={"Accept-Language": "de"}).languages.best == "de"
        assert "gzip" in request(headers={"Accept-Encoding": "gzip"}).encodings
        assert "utf-8" in request().charsets

    def test_others(self) -> None:
        wanted = request(headers={"Content-Type": "Text/Plain; charset=latin-1"}, **{"x.y": 1})
        assert wanted.content_type_options == ("text/plain", {"charset": "latin-1"})
        assert wanted.encoding == "latin-1"
        assert request().encoding == "utf-8"
        assert wanted.get("x.y") == 1
        assert wanted.get("x.z", 2) == 2
        assert wanted.input.read() == b""
        assert wanted.logger.name == "tower_wsgi"
        assert wanted.connection is wanted.environ["pulsar.connection"]
        assert wanted.cfg is wanted.environ["pulsar.cfg"]


class TestJson:
    def test_value(self) -> None:
        for media in ("application/json", "application/json; charset=utf-8", "application/x+json"):
            wanted = request(
                method="POST", headers={"Content-Type": media}, body=b'{"a": ["\xc3\xa4"]}'
            )
            assert wanted.json == {"a": ["ä"]}
            assert wanted.body_data() == {"a": ["ä"]}
            # Another application behind this one can read the body, too.
            assert json.load(wanted.input) == {"a": ["ä"]}

    @pytest.mark.parametrize(
        "body", [b"", b"{", b'{"a": NaN}', b"[1,]", b'"\xff"', b"[" * 100_000, b"9" * 10_000]
    )
    def test_malformed(self, body: bytes) -> None:
        with pytest.raises(wsgi.BadRequest):
            _ = request(method="POST", headers=JSON, body=body).json

    def test_another_type(self) -> None:
        with pytest.raises(wsgi.Unsupported):
            _ = request(method="POST", headers=FORM, body=b"{}").json
        with pytest.raises(wsgi.Unsupported):
            _ = request(method="POST", body=b"{}").json

    def test_depth(self, limited: None) -> None:
        assert request(method="POST", headers=JSON, body=b'[[["[[[", "\\"[[["]]]').json
        with pytest.raises(wsgi.BadRequest, match="deeper than 3"):
            _ = request(method="POST", headers=JSON, body=b'[[{"a":[]}]]').json

    def test_size(self, limited: None) -> None:
        assert request(method="POST", headers=JSON, body=b" " * 198 + b"{}").json == {}
        # With and without a declared length.
        for extra in ({}, {"CONTENT_LENGTH": ""}):
            with pytest.raises(wsgi.HttpException, match="200 bytes") as error:
                _ = request(method="POST", headers=JSON, body=b" " * 199 + b"{}", **extra).json
            assert error.value.status == 413


class TestForms:
    def test_urlencoded(self) -> None:
        wanted = request(method="POST", headers=FORM, body="a=1&a=ä&b=".encode())
        data, files = wanted.data_and_files()
        assert data.getlist("a") == ["1", "ä"]
        assert data["b"] == ""
        assert files is None
        assert wanted.body_data() == data
        assert wanted.input.read() == "a=1&a=ä&b=".encode()

    def test_multipart(self) -> None:
        large = bytes(range(256)) * 1000
        wanted = request(
            **multipart(
                (field("a"), b"\xc3\xa4"),
                (field("a") + "\r\nContent-Type: text/plain; charset=iso-8859-1", b"\xe4"),
                (field("a") + "\r\nContent-Type: text/plain; charset=zip", b"z"),
                (field("f", "x.bin"), large),
                (field("f", "y.txt") + "\r\nContent-Type: text/x", b""),
            )
        )
        data, files = wanted.data_and_files()
        assert data.getlist("a") == ["ä", "ä", "z"]
        first, second = files.getlist("f")
        assert (first.filename, first.read()) == ("x.bin", large)
        assert (second.filename, second.content_type, second.read()) == ("y.txt", "text/x", b"")
        assert wanted.data_and_files(data=False).keys() == {"f"}

    @pytest.mark.parametrize(
        "keywords",
        [
            {"headers": FORM, "body": b"a=\xff"},
            {"headers": {"Content-Type": "multipart/form-data"}, "body": b"--cut--\r\n"},
            {"headers": {"Content-Type": "multipart/form-data; boundary=\xe4"}, "body": b"x"},
            {"headers": {"Content-Type": "multipart/form-data; boundary=cut"}, "body": b"x"},
            {
                "headers": {"Content-Type": "multipart/form-data; boundary=cut"},
                "body": b"--cut\r\nnonsense\r\n\r\n",
            },
            {
                "headers": {"Content-Type": "multipart/form-data; boundary=cut"},
                "body": f"--cut\r\n{field('f', 'x')}\r\n\r\nends too early".encode(),
            },
        ],
    )
    def test_malformed(self, keywords: dict[str, Any]) -> None:
        with pytest.raises(wsgi.BadRequest):
            request(method="POST", **keywords).body_data()

    def test_limits(self, limited: None) -> None:
        inside = [(field("a"), b"x" * 20), (field("f", "f"), b"f" * 100_000)]
        assert request(**multipart(*inside)).body_data()["a"] == "x" * 20
        beyond = [
            # Parts; bytes of one field, of several, and of headers.
            [(field("a"), b"")] * 4,
            [(field("a"), b"x" * 201)],
            [(field("a"), b"x" * 70)] * 3,
            [(field("a") + "\r\nX-Long: " + "x" * 170, b"")],
        ]
        for parts in beyond:
            with pytest.raises(wsgi.HttpException) as error:
                request(**multipart(*parts)).body_data()
            assert error.value.status == 413
        with pytest.raises(wsgi.HttpException) as error:
            request(method="POST", headers=FORM, body=b"a" * 201).body_data()
        assert error.value.status == 413

    def test_another_body_is_bytes(self) -> None:
        headers = {"Content-Type": "text/csv"}
        assert request(method="PUT", headers=headers, body=b"1;2").body_data() == b"1;2"

    def test_a_method_without_a_body(self) -> None:
        assert request(headers=JSON).data_and_files() == ({}, None)
        assert request(method="DELETE", headers=JSON, body=b"[1]").body_data() == {}

    def test_a_body_without_an_end_is_not_read(self) -> None:
        environ = wsgi.test_wsgi_environ(method="PUT")
        del environ["wsgi.input_terminated"]
        environ["wsgi.input"] = io.BytesIO(b"endless")
        assert wsgi.wsgi_request(environ).body_data() == b""

    @pytest.mark.parametrize(
        ("headers", "body", "kind"), [(FORM, b"a=1", "MultiDict"), (JSON, b'{"a": "1"}', "dict")]
    )
    def test_results_may_be_awaited(self, headers: Any, body: bytes, kind: str) -> None:
        wanted = request(method="POST", headers=headers, body=body)

        async def handler() -> Any:
            data, files = await wanted.data_and_files()
            assert files is None
            assert await wanted.body_data() == data
            return await wanted.body_data()

        with pytest.raises(StopIteration) as end:
            handler().send(None)
        assert end.value.value == wanted.body_data()
        assert end.value.value["a"] == "1"
        assert type(end.value.value).__name__ == kind
        assert json.loads(json.dumps(wanted.body_data())) == {"a": "1"}

    def test_a_result_is_content(self) -> None:
        def echo(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(200, wsgi.wsgi_request(environ).body_data(), TEXT)

        headers = {"Content-Type": "application/octet-stream"}
        text = ["text/plain"]
        router = wsgi.Router("/", post=wsgi.WsgiRequest.body_data, response_content_types=text)
        for handler in (wsgi.WsgiHandler([echo]), wsgi.WsgiHandler([router])):
            environ = wsgi.test_wsgi_environ(method="POST", headers=headers, body=b"1;2")
            assert call(handler, environ).body == b"1;2"


class TestResponse:
    def test_an_application_edits_and_returns_it(self) -> None:
        def application(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            wanted = wsgi.wsgi_request(environ)
            wanted.response["X-A"] = "1"
            assert wsgi.wsgi_request(environ).response is wanted.response
            return wanted.json_response({"path": wanted.path}, 201)

        handler = wsgi.WsgiHandler([application])
        response = call(handler, wsgi.test_wsgi_environ("/x"))
        assert response.status == "201 Created"
        assert response.headers["content-type"] == "application/json"
        assert response.headers["x-a"] == "1"
        assert json.loads(response.body) == {"path": "/x"}
        environ = wsgi.test_wsgi_environ("/x", headers={"Accept": "image/png"})
        assert call(handler, environ).code == 415

    def test_redirect(self) -> None:
        response = request("/a/b", {"Host": "example.org"}).redirect("/c?d=ä")
        assert response.status == "302 Found"
        assert response["Location"] == "http://example.org/c?d=%C3%A4"
        assert request().redirect("/", permanent=True).status_code == 301
        assert request().redirect("/", 307).status_code == 307

    def test_content_type(self) -> None:
        wanted = request(headers={"Accept": "text/html"})
        assert wanted.set_response_content_type(["application/json", "text/html"]) == "text/html"
        assert wanted.response.content_type == "text/html"


def test_errors_are_responses() -> None:
    def application(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
        return wsgi.WsgiResponse(content=str(wsgi.wsgi_request(environ).json))

    handler = wsgi.WsgiHandler([application])
    assert call(handler, wsgi.test_wsgi_environ(method="POST", body=b"{}")).code == 415
    environ = wsgi.test_wsgi_environ(method="POST", headers=JSON, body=b"{")
    assert call(handler, environ).code == 400


def test_without_werkzeug() -> None:
    script = """if True:
        import sys
        sys.modules["werkzeug"] = None
        from tower_wsgi import wsgi
        headers = {"Content-Type": "application/json"}
        environ = wsgi.test_wsgi_environ("/a?b=c", "POST", headers, body=b"[1]")
        request = wsgi.wsgi_request(environ)
        assert request.json == [1]
        assert request.full_path() == "/a"
        for name in ("url_data", "cookies", "content_types"):
            try:
                getattr(request, name)
            except ModuleNotFoundError as error:
                assert "install tower-wsgi[router]" in str(error), error
            else:
                raise AssertionError(name)
    """
    subprocess.run([sys.executable, "-c", script], check=True)


def test_werkzeug_is_imported_on_demand() -> None:
    script = "import sys; from tower_wsgi import wsgi; assert 'werkzeug' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
