"""What HTTP asks of responses."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pep3333.rules import mistake, rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

HTTP = "Other HTTP Features"
LENGTH = "Handling the Content-Length Header"

# Each of the ways in which a response can end.
TARGETS: list[tuple[str, list[tuple[str, str]]]] = [
    ("/hello", []),
    ("/shape", [("X-Shape", "generator")]),
    ("/nothing", [("X-Shape", "list")]),
    ("/length", [("X-Length", "6"), ("X-Chunks", "[b'abc', b'def']")]),
    ("/length", [("X-Length", "4"), ("X-Chunks", "[b'abc', b'def']")]),
    ("/status_without_body", [("X-Status", "204 No Content")]),
    ("/status_without_body", [("X-Status", "304 Not Modified")]),
    ("/write_and_return", []),
    ("/fails_in_call", [("X-Error", "ValueError")]),
    ("/file", [("X-Path", __file__)]),
]


@rule(HTTP, "MUST", "The response to HEAD has no body, and the connection stays open.")
@mistake("The responses to HEAD, 204 and 304 have bodies.")
@pytest.mark.parametrize(("target", "headers"), TARGETS)
def test_head(site: Site, target: str, headers: list[tuple[str, str]]) -> None:
    with site.connect() as connection:
        site.request(connection, target, "HEAD", headers=headers)
        head = connection.response("HEAD")
        site.request(connection, target, "GET", headers=headers)
        get = connection.response()
        assert head.status_line == get.status_line
        # RFC 9110 section 9.3.2: fields that depend on the body may be left out, but not differ.
        # Only the time may, since the responses may be of two seconds.
        of_head, of_get = (
            {field for field in response.headers if field[0] != b"date"} for response in (head, get)
        )
        assert of_head <= of_get
        assert {name for name, _ in of_get - of_head} <= {b"content-length", b"transfer-encoding"}
        assert (head.get(b"date") is None) is (get.get(b"date") is None)
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"


@rule(HTTP, "MUST", "A `Content-Length` of the application is kept in the response to HEAD.")
def test_head_keeps_the_length(site: Site) -> None:
    headers = [("X-Length", "6"), ("X-Chunks", "[b'abc', b'def']")]
    assert site.get("/length", "HEAD", headers=headers).raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\ndate: DATE\r\n\r\n"
    )
    # A framework that knows HEAD gives no body for it.
    headers = [("X-Length", "6"), ("X-Chunks", "[]")]
    assert site.get("/length_of_list", "HEAD", headers=headers).get(b"content-length") == b"6"


@rule(HTTP, "MUST", "204 and 304 have no body, and 204 no `Content-Length`.")
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_a_body(site: Site, status: str) -> None:
    response = site.get("/status_without_body", headers=[("X-Status", status)])
    assert response.raw == b"HTTP/1.1 %s\r\nx-mine: 1\r\ndate: DATE\r\n\r\n" % status.encode()
    # RFC 9110 section 8.6 forbids it for 204; for 304 a server may leave it out.
    response = site.get("/status_with_length", headers=[("X-Status", status)])
    assert response.get(b"content-length") is None


@rule(HTTP, "MUST", "The same where the body is written, or a file.")
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_statuses_without_a_written_body(site: Site, status: str) -> None:
    response = site.get("/write_without_body", headers=[("X-Status", status)])
    assert response.raw == b"HTTP/1.1 %s\r\ndate: DATE\r\n\r\n" % status.encode()
    response = site.get("/file_that_tells", headers=[("X-Status", status), ("X-Path", __file__)])
    assert response.raw == b"HTTP/1.1 %s\r\ndate: DATE\r\n\r\n" % status.encode()


def test_a_written_head(site: Site) -> None:
    response = site.get("/write_without_body", "HEAD")
    assert response.raw == b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ndate: DATE\r\n\r\n"
    site.events("written")


@rule(
    LENGTH,
    "MUST",
    "After each response the connection stays open, and requests that came early are served in order.",
)
@mistake(
    "A request that is sent before the response to the one before is lost, or stops the worker."
)
def test_pipelining(site: Site) -> None:
    with site.connect() as connection:
        for target, headers in TARGETS:
            site.request(connection, target, headers=headers)
            site.request(connection, "/environ")
        codes = []
        for _ in TARGETS:
            codes.append(connection.response().code)
            assert b"REQUEST_METHOD" in connection.response().body
        assert codes == [200, 200, 200, 200, 200, 204, 304, 200, 500, 200]


@rule(
    LENGTH,
    "MUST",
    "A client of HTTP/1.0 gets no chunks: without a length the body ends with the connection.",
)
@pytest.mark.parametrize("keep", [False, True])
def test_http_1_0(site: Site, keep: bool) -> None:
    headers = [("X-Shape", "generator"), *([("Connection", "keep-alive")] if keep else [])]
    with site.connect() as connection:
        site.request(connection, "/shape", headers=headers, version="1.0")
        response = connection.response()
        assert response.status_line.startswith(b"HTTP/1.")
        assert (response.body, response.get(b"transfer-encoding")) == (b"onetwo", None)
        assert connection.end() == b""


@rule(LENGTH, "MAY", "With a length an HTTP/1.0 connection stays open if the client asks for it.")
@pytest.mark.parametrize("keep", [False, True])
def test_http_1_0_with_a_length(bare: Site, keep: bool) -> None:
    headers = [("Connection", "keep-alive")] if keep else []
    with bare.connect() as connection:
        bare.request(connection, "/hello", headers=headers, version="1.0")
        response = connection.response()
        assert response.body == b"hello"
        if keep:
            assert response.get(b"connection") == b"keep-alive"
            bare.request(connection, "/hello", version="1.0")
            assert connection.response().body == b"hello"
        assert connection.end() == b""


@rule(HTTP, "MUST", "`Connection: close` of the client is obeyed, and is in the response.")
@pytest.mark.parametrize(("target", "headers"), TARGETS)
def test_connection_close(site: Site, target: str, headers: list[tuple[str, str]]) -> None:
    with site.connect() as connection:
        site.request(connection, target, headers=[*headers, ("Connection", "close")])
        response = connection.response()
        assert response.get(b"connection") == b"close"
        assert connection.end() == b""
