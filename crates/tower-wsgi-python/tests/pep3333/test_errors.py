"""Applications that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pep3333.applications.errors import ERRORS
from pep3333.rules import mistake, rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pep3333.conftest import Site

ERROR = "Error Handling"
PAGE = b"500 Internal Server Error\nThe server failed to handle the request.\n"


@rule(
    ERROR,
    "SHOULD",
    "An exception of the application is trapped and logged; if nothing was sent, it is a 500.",
)
@mistake("Some exceptions (`RuntimeError`, `OSError`) end in silence.")
@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("name", ["fails_in_call", "fails_after_start", "fails_at_first"])
def test_an_error_before_the_body(site: Site, name: str, error: str) -> None:
    response = site.get(f"/{name}", headers=[("X-Error", error)])
    assert response.raw == (
        b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: text/plain; charset=utf-8\r\n"
        b"vary: accept\r\ncontent-length: %d\r\ndate: DATE\r\n\r\n%s" % (len(PAGE), PAGE)
    )
    log = site.log("the application failed")
    assert "Traceback (most recent call last):\n" in log
    assert f"{error}: raised for {site.key}\n" in log
    if name == "fails_at_first":
        assert site.events("closed").count("closed") == 1


@rule(
    ERROR,
    "SHOULD",
    "If something was sent, the connection is broken: the response never looks whole.",
)
@mistake("An error in the iteration ends in a clean last chunk.")
@pytest.mark.parametrize("error", ["ValueError", "OSError", "SystemExit", "KeyboardInterrupt"])
@pytest.mark.parametrize("length", [None, "100"])
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_an_error_in_the_body(site: Site, error: str, length: str | None, version: str) -> None:
    headers = [("X-Error", error), *([("X-Length", length)] if length else [])]
    end = broken(site, "/fails_later", headers=headers, version=version)
    assert end.response.body in (b"one", b"")
    # A body that ends with the connection has no other sign of an error.
    assert end.reset or version == "1.1" or length
    log = site.log("failed in the middle|failed|broke")
    assert site.events("closed").count("closed") == 1
    assert f"{error}: raised for {site.key}\n" in log
    assert site.get("/hello").body == b"hello"


@rule("Unicode Issues", "MUST", "The body is of `bytes`; anything else is an error that names it.")
@mistake("A `str` chunk makes an empty 200, and nothing is logged.")
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("str", "the application yielded str as a piece of its body, not bytes; encode it"),
        ("bytes", "the application yielded int as a piece of its body, not bytes"),
        ("none", "the application returned NoneType, which is not an iterable of bytes"),
        ("int", "the application returned int, which is not an iterable of bytes"),
        ("coroutine", "the application yielded int as a piece of its body, not bytes"),
        ("future", "the application returned NoneType, which is not an iterable of bytes"),
        ("awaitable", "RuntimeError: Task got bad yield"),
        (
            "application",
            "the application returned function, which is not an iterable of bytes; it is ",
        ),
        ("list of str", "the application yielded str as a piece of its body, not bytes; encode it"),
        ("list of none", "the application yielded NoneType as a piece of its body, not bytes"),
        (
            "list of bytearray",
            "the application yielded bytearray as a piece of its body, not bytes",
        ),
        (
            "list of memoryview",
            "the application yielded memoryview as a piece of its body, not bytes",
        ),
        ("list of int", "the application yielded int as a piece of its body, not bytes"),
        (
            "generator of str",
            "the application yielded str as a piece of its body, not bytes; encode it",
        ),
        ("bad iterator", "LookupError: in __iter__"),
    ],
)
def test_what_is_no_body(bare: Site, wrong: str, message: str) -> None:
    assert bare.get("/gives", headers=[("X-Wrong", wrong)]).code == 500
    log = bare.log("the application failed")
    assert message in log
    assert "never awaited" not in log


@pytest.mark.parametrize(
    ("accept", "content_type", "begin"),
    [
        ("text/html,*/*;q=0.8", b"text/html; charset=utf-8", b"<!doctype html>"),
        ("application/json", b"application/json", b'{"status":500,'),
        ("text/plain", b"text/plain; charset=utf-8", b"500 Internal Server Error\n"),
    ],
)
def test_a_500_is_what_the_client_accepts(
    bare: Site, accept: str, content_type: bytes, begin: bytes
) -> None:
    headers = [("X-Error", "ValueError"), ("Accept", accept)]
    response = bare.get("/fails_in_call", headers=headers)
    assert (response.code, response.get(b"vary")) == (500, b"accept")
    assert response.get(b"content-type") == content_type
    assert response.body.startswith(begin)


@rule("Unicode Issues", "MUST", "The same later breaks the connection.")
@pytest.mark.parametrize(("wrong", "kind"), [("later str", "str"), ("later none", "NoneType")])
def test_what_is_no_chunk(bare: Site, wrong: str, kind: str) -> None:
    end = broken(bare, "/gives", headers=[("X-Wrong", wrong)])
    assert end.response.body in (b"one", b"")
    bare.log(f"the application yielded {kind} as a piece of its body, not bytes")
