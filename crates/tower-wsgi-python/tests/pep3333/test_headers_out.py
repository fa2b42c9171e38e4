"""The head of a response."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from pep3333.rules import rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

START = "The start_response() Callable"


def given(site: Site, headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    response = site.get(
        "/headers", headers=[("X-Headers", ascii([("Content-Type", "text/plain"), *headers]))]
    )
    assert response.body == b"body"
    return response.headers


@rule(START, "MUST", "The headers are sent as they are given, repeated ones in their order.")
def test_headers_are_sent(site: Site) -> None:
    headers = [
        ("Set-Cookie", "a=1; Path=/"),
        ("X-Name", 'b, "c"'),
        ("Set-Cookie", "b=2"),
        ("X-Empty", ""),
    ]
    sent = given(site, headers)
    assert [value for name, value in sent if name == b"set-cookie"] == [b"a=1; Path=/", b"b=2"]
    assert (b"x-name", b'b, "c"') in sent
    assert [name for name, _ in sent].count(b"content-type") == 1


def test_an_empty_value_is_sent(site: Site) -> None:
    response = site.get(
        "/headers", headers=[("X-Headers", "[('Content-Type', 'a/b'), ('X-Empty', '')]")]
    )
    assert re.search(rb"\r\nx-empty: ?\r\n", response.head)


@rule("Unicode Issues", "MUST", "Values are sent as Latin-1.")
def test_values_are_latin_1(site: Site) -> None:
    every = "".join(map(chr, range(0xA1, 0x100)))
    assert (b"x-name", every.encode("latin-1")) in given(site, [("X-Name", every)])


def test_a_tab(bare: Site) -> None:
    told = [("X-Status", ascii("200 a\tb")), ("X-Headers", ascii([("X-A", "a\tb")]))]
    response = bare.get("/given", headers=told)
    assert (response.status_line, response.get(b"x-a")) == (b"HTTP/1.1 200 a\tb", b"a\tb")


@rule(
    START, "MUST", "A header that HTTP requires and the application omits is added: `Date`, once."
)
def test_date(site: Site) -> None:
    (date,) = [value for name, value in given(site, []) if name == b"date"]
    assert parsedate_to_datetime(date.decode()).tzinfo is not None
    mine = "Sun, 06 Nov 1994 08:49:37 GMT"
    assert [value for name, value in given(site, [("Date", mine)]) if name == b"date"] == [
        mine.encode()
    ]


def test_server(site: Site) -> None:
    # RFC 9110 section 10.2.4: a server may say what it is; it leaves that to the application.
    assert b"server" not in dict(given(site, []))
    assert (b"server", b"mine/1") in given(site, [("Server", "mine/1")])


@rule(
    START,
    "MAY",
    "The list is the server's once it was given: a later change of it changes nothing.",
)
def test_a_list_that_changes_later(bare: Site) -> None:
    names = {name for name, _ in bare.get("/changed_later").headers}
    assert b"x-first" in names
    assert not {b"x-second", b"x-third"} & names
