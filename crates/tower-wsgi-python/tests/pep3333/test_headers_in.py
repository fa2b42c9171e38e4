"""The fields of a request, as variables."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest

from pep3333.rules import mistake, rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

VARIABLES = "environ Variables"


def fields(site: Site, *headers: tuple[str, str], **more: Any) -> dict[str, str]:
    response = site.get("/environ", headers=headers, **more)
    values = json.loads(response.text)["values"]
    known = {"HTTP_HOST", "HTTP_X_KEY", "HTTP_X_VALIDATE"}
    return {
        name: value
        for name, value in values.items()
        if name.startswith("HTTP_") and name not in known
    }


@rule(
    VARIABLES, "SHOULD", "The `HTTP_` variables are the fields of the request, no more and no less."
)
def test_fields_become_variables(site: Site) -> None:
    assert fields(site) == {}
    headers = [
        ("X-Some-NAME", "  a value \t"),
        ("x-empty", ""),
        ("User-Agent", "a/1 (b)"),
        ("X-!#$%&'*+.^`|~9", "odd"),
        ("Content-Type", "text/plain"),
    ]
    assert fields(site, *headers) == {
        "HTTP_X_SOME_NAME": "a value",
        "HTTP_X_EMPTY": "",
        "HTTP_USER_AGENT": "a/1 (b)",
        "HTTP_X_!#$%&'*+.^`|~9": "odd",
    }


@rule(
    VARIABLES, "SHOULD", "A field that is sent several times is joined, in order; `Cookie` by `; `."
)
@mistake("Of a field, or of cookies, that are sent several times only the last is left.")
def test_repeated_fields_are_joined(site: Site) -> None:
    headers = [
        ("X-Name", "a"),
        ("Cookie", "a=1"),
        ("x-name", "b, c"),
        ("cookie", "b=2; c=3"),
        ("X-NAME", ""),
    ]
    assert fields(site, *headers) == {"HTTP_X_NAME": "a,b, c,", "HTTP_COOKIE": "a=1; b=2; c=3"}


@rule(VARIABLES, "SHOULD", "A name with `_` cannot pass for the one with `-`: it is left out.")
@mistake("`X_Forwarded_For` takes the place of `X-Forwarded-For`.")
@pytest.mark.parametrize("order", [1, -1])
def test_underscores(site: Site, order: int) -> None:
    headers = [("X-Forwarded-For", "10.0.0.1"), ("X_Forwarded_For", "6.6.6.6"), ("X_Other", "x")]
    headers += [("Content_Length", "3"), ("Script_Name", "/x")]
    values = fields(site, *headers[::order])
    assert values == {"HTTP_X_FORWARDED_FOR": "10.0.0.1"}


@mistake("A client that shuts down its sending side after its request gets no response.")
@pytest.mark.parametrize("path", ["/hello", "/environ"])
@pytest.mark.parametrize(
    "body",
    [
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    ],
)
def test_half_closed(site: Site, path: str, body: str) -> None:
    with site.connect() as connection:
        head = f"Host: test\r\nX-Key: {site.key}\r\n"
        get, post = (f"{method} {path} HTTP/1.1\r\n{head}" for method in ("GET", "POST"))
        connection.send(f"{get}\r\n{post}{body}".encode())
        connection.socket.shutdown(socket.SHUT_WR)
        for _ in range(2):
            assert connection.response().status_line.split(b" ")[1] == b"200"
        assert connection.end() == b""


@mistake("`Proxy` of a client becomes `HTTP_PROXY`, which names the proxy of outgoing requests.")
def test_proxy(site: Site) -> None:
    headers = [("Proxy", "http://evil.test"), ("Proxy-Authorization", "x")]
    assert fields(site, *headers) == {"HTTP_PROXY_AUTHORIZATION": "x"}


@rule("Unicode Issues", "MUST", "A value is Latin-1: each byte is one character.")
@mistake("A value with a byte above 0x7F arrives empty, or as UTF-8.")
def test_values_are_latin_1(site: Site) -> None:
    every = "".join(map(chr, range(0xA1, 0x100)))
    assert fields(site, ("X-Name", every)) == {"HTTP_X_NAME": every}


@rule("Other HTTP Features", "MUST", "Hop-by-hop fields of a request are the server's own affair.")
@mistake("Hop-by-hop fields that a client sends come back in the response.")
def test_hop_by_hop_fields_do_not_come_back(site: Site) -> None:
    sent = ["Proxy-Authorization", "TE", "Keep-Alive", "Upgrade"]
    with site.connect() as connection:
        site.request(
            connection,
            "/hello",
            headers=[*((name, "x") for name in sent), ("Connection", "upgrade")],
        )
        response = connection.response()
    assert response.body == b"hello"
    names = {name for name, _ in response.headers}
    assert not names & {name.lower().encode() for name in sent}


@rule(
    "Other HTTP Features",
    "MUST",
    "An inbound transfer coding is decoded; the application sees a length.",
)
def test_transfer_coding_is_decoded(site: Site) -> None:
    with site.connect() as connection:
        head = f"POST /environ HTTP/1.1\r\nHost: test\r\nX-Key: {site.key}\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.send(head.encode() + b"3\r\nabc\r\n2;ext=1\r\nde\r\n0\r\n\r\n")
        values = json.loads(connection.response().text)["values"]
    assert values["CONTENT_LENGTH"] == "5"
    assert not {"HTTP_TRANSFER_ENCODING", "HTTP_CONTENT_LENGTH"} & set(values)


@mistake("A missing, doubled or invalid `Host`, or another malformed request, is let through.")
@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ("", b"400"),
        ("Host: a\r\nHost: a\r\n", b"400"),
        ("Host: a b\r\n", b"400"),
        ("Host: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n", b"400"),
        ("Host: a\r\nContent-Length: +1\r\n", b"400"),
        ("Host: a\r\nTransfer-Encoding: gzip, chunked\r\n", b"501"),
        ("Host: a\r\n folded: b\r\n", b"400"),
        ("Host: a\r\nX-Name : b\r\n", b"400"),
        ("Host: a\r\nX-Name: a\0b\r\n", b"400"),
        ("Host: a\r\nContent-Type: text/plain\r\nContent-Type: text/html\r\n", b"400"),
    ],
)
def test_malformed_requests_are_refused(bare: Site, fields: str, status: bytes) -> None:
    with bare.connect() as connection:
        connection.send(f"GET /tells HTTP/1.1\r\nX-Key: {bare.key}\r\n{fields}\r\n".encode())
        response = connection.response()
        assert response.status_line.split(b" ")[1] == status
        assert response.body.startswith(status)
        assert connection.end() == b""
    bare.get("/closing")
    assert "called" not in bare.events("closed")


@mistake(
    "After `Content-Length` beside `Transfer-Encoding`, which RFC 9112 section 6.3 allows to be served, the connection stays open, so that a body is a request."
)
def test_length_beside_coding_closes(bare: Site) -> None:
    with bare.connect() as connection:
        head = f"POST /environ HTTP/1.1\r\nHost: a\r\nX-Key: {bare.key}\r\nContent-Length: 4\r\n"
        connection.send(
            head.encode()
            + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /tells HTTP/1.1\r\n\r\n"
        )
        # RFC 9112 section 6.3 allows to refuse it, or to read the body by its coding and to close.
        response = connection.response()
        assert response.status_line.split(b" ")[1] == b"200"
        assert connection.end() == b""
    bare.get("/closing")
    assert "called" not in bare.events("closed")
