"""start_response with exc_info."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notes import not_applicable

from pep3333.rules import mistake, rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pep3333.conftest import Site

START = "The start_response() Callable"


@rule(
    START,
    "MUST NOT",
    "`start_response` transmits nothing: the head waits for the first bytestring not empty.",
)
@rule(
    START,
    "SHOULD",
    "With `exc_info` the status and headers are replaced, as long as nothing was sent.",
)
@mistake("With `exc_info` the earlier headers are kept, or the call is ignored.")
def test_restart_before_the_body(site: Site) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/restart", headers=[gate.header])
        site.events("waits")
        assert connection.is_silent()
        gate.open()
        assert connection.response().raw == (
            b"HTTP/1.1 503 Sorry\r\ncontent-type: text/html\r\nx-late: 2\r\ntransfer-encoding: chunked\r\n"
            b"date: DATE\r\n\r\n7\r\nsorry, \r\n7\r\nnot now\r\n0\r\n\r\n"
        )
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"


@rule("Error Handling", "MUST", "The same in the call, and more than once.")
def test_restart_in_the_call(site: Site) -> None:
    response = site.get("/restart_in_call")
    assert (response.status_line, response.body) == (b"HTTP/1.1 500 Worse", b"sorry")
    fields = dict(response.headers)
    assert (fields[b"content-type"], fields[b"x-late"]) == (b"text/html", b"2")
    # The length of the validator's iterator is not known.
    assert fields.get(b"content-length") == (None if site.validated else b"5")
    assert b"x-early" not in fields


@rule(START, "MAY", "The first call may have `exc_info`; `None` is none.")
def test_exc_info_in_the_first_call(site: Site) -> None:
    response = site.get("/restart_as_first")
    assert (response.status_line, response.body) == (b"HTTP/1.1 500 Oops", b"sorry")
    assert site.get("/restart_with_none").body == b"fine"


@rule(
    START,
    "MUST",
    "With `exc_info` after the head was sent it raises; and it raises the same exception again.",
)
@rule("Error Handling", "MUST", "Then the response is aborted.")
def test_restart_after_the_head(site: Site) -> None:
    assert broken(site, "/restart_too_late").response.chunks in ([b"one"], [])
    site.events("raised again True True")
    assert "in the application" in site.log("Trouble: in the application")


@rule(START, "MUST", "The same after `write()`.")
def test_restart_after_write(site: Site) -> None:
    if site.mode == "pool":
        assert broken(site, "/restart_after_write").response.chunks in ([b"one"], [])
    else:
        # What was written still waits there, so that nothing was sent yet.
        assert site.get("/restart_after_write").code == 500
    site.events("raised again")


@rule(START, "MUST NOT", "A `write()` of nothing transmits nothing.")
def test_restart_after_an_empty_write(site: Site) -> None:
    response = site.get("/restart_after_empty_write")
    assert (response.status_line, response.body) == (b"HTTP/1.1 500 Oops", b"sorry")


@rule(START, "MUST", "`exc_info` is a `sys.exc_info()` tuple.")
def test_exc_info_of_another_kind(bare: Site) -> None:
    lines = bare.get("/bad_exc_info").text.splitlines()
    assert (
        lines == ["exc_info must be the tuple that sys.exc_info() returns in an except clause"] * 4
    )


@rule(START, "SHOULD", "No reference to `exc_info` is kept.")
def test_exc_info_is_not_kept(site: Site) -> None:
    if site.validated:
        not_applicable("the validator's own frames keep it")
    assert site.get("/keeps_nothing").body == b"not kept"


def test_a_replacement_that_is_refused(bare: Site) -> None:
    # The headers that were to be replaced are not sent instead.
    response = bare.get("/trapped")
    assert response.code == 500
    bare.events("refused")
    bare.log("the application failed")
