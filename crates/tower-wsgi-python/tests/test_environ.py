from __future__ import annotations

from typing import Any
from wsgiref.util import request_uri

import pytest
from conftest import call

from tower_wsgi import wsgi


def echo(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["wsgi.input"].read(100), environ["wsgi.input"].readline()]


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"path": "/a b/é?x=ü#top", "method": "post", "body": b"body"},
        {"path": "http://example.org:81/?q", "headers": {"X-A": "1"}, "https": True},
        {"path": "relative"},
        {"path": "?q"},
        {"path": "https://example.org"},
        {"headers": [("Content-Type", "text/plain"), ("Content-Length", "0")], "loop": object()},
    ],
)
def test_it_is_valid(arguments: Any) -> None:
    # `call` validates the environ, too.
    assert call(echo, wsgi.test_wsgi_environ(**arguments)).body == arguments.get("body", b"")


def test_a_path() -> None:
    environ = wsgi.test_wsgi_environ("/a b/é/%2F?x=ü#top", "put")
    assert environ["REQUEST_METHOD"] == "PUT"
    assert environ["PATH_INFO"] == "/a b/\xc3\xa9//"
    assert environ["QUERY_STRING"] == "x=%C3%BC"
    assert environ["RAW_URI"] == "/a%20b/%C3%A9/%2F?x=%C3%BC"
    assert environ["HTTP_HOST"] == "127.0.0.1"
    assert environ["wsgi.url_scheme"] == "http"
    assert "HTTPS" not in environ
    assert "CONTENT_LENGTH" not in environ


def test_a_url() -> None:
    environ = wsgi.test_wsgi_environ("https://example.org/a?b=c")
    assert environ["HTTPS"] == "on"
    assert request_uri(environ) == "https://example.org/a?b=c"


def test_the_names_of_the_arguments_in_older_pulsars() -> None:
    environ = wsgi.test_wsgi_environ("/a", secure=True)
    assert (environ["wsgi.url_scheme"], environ["HTTPS"]) == ("https", "on")
    assert "secure" not in environ
    environ = wsgi.test_wsgi_environ(url="https://example.org/a?b=c")
    assert request_uri(environ) == "https://example.org/a?b=c"
    assert "url" not in environ
    with pytest.raises(TypeError, match="path and url are aliases"):
        wsgi.test_wsgi_environ("/a", url="/b")


def test_headers_and_variables() -> None:
    headers = [
        ("Host", "example.org"),
        ("X-A", "1"),
        ("x-a", "2"),
        ("Cookie", "a=1"),
        ("cookie", "b=2"),
        ("Content-Type", "text/css"),
    ]
    environ = wsgi.test_wsgi_environ(
        headers=headers, https=True, body=b"1234", extra={"REMOTE_USER": "me"}, SCRIPT_NAME="/s"
    )
    assert environ["HTTP_HOST"] == "example.org"
    assert environ["HTTP_X_A"] == "1, 2"
    assert environ["HTTP_COOKIE"] == "a=1; b=2"
    assert environ["CONTENT_TYPE"] == "text/css"
    assert environ["CONTENT_LENGTH"] == "4"
    assert environ["REMOTE_USER"] == "me"
    assert environ["SCRIPT_NAME"] == "/s"
    assert environ["HTTPS"] == "on"
