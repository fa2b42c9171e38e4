"""write()."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notes import not_applicable

from pep3333.rules import lenient, mistake, rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pep3333.conftest import Site

WRITE = "The write() Callable"
LENGTH = "Handling the Content-Length Header"


@rule(
    "Specification Details",
    "MUST",
    "`start_response` returns a callable that takes one bytestring.",
)
@mistake("`start_response` returns nothing to write with.")
def test_write(site: Site) -> None:
    response = site.get("/write_only")
    assert response.body == b"one two [None, None, None]"
    # On the event loop all of it is there when the head is sent.
    assert response.get(b"content-length") in (None, str(len(response.body)).encode())


@rule(WRITE, "MUST", "What is returned is sent after what was written.")
def test_write_then_return(site: Site) -> None:
    response = site.get("/write_and_return")
    assert response.body == b"one two three four"
    # What waits on the event loop is sent together.
    written = [b"one two "] if site.mode == "loop" else [b"one ", b"two "]
    assert response.chunks == [*written, b"three ", b"four"]
    assert site.events("closed").count("closed") == 1


@rule(
    WRITE,
    "MUST",
    "When `write()` returns, the bytestring is sent, or on its way while the application continues.",
)
def test_written_at_once(site: Site) -> None:
    if site.mode == "loop":
        not_applicable("with one thread it waits for the application: see the table")
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/write_and_wait", headers=[gate.header])
        assert connection.head().code == 200
        for chunk in (b"one", b"two", b"three"):
            assert connection.piece() == chunk
            gate.open()
        assert connection.piece() == b"four"
        assert connection.piece() == b""


@rule(WRITE, "MUST", "Bytestrings that are returned after a write are sent at once, as always.")
def test_write_then_stream(site: Site) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/write_and_stream", headers=[gate.header])
        if site.mode == "loop":
            # The first chunk goes with the head, which waits until the application has given one.
            gate.open()
        assert connection.head().code == 200
        assert connection.piece() == b"one"
        if site.mode == "pool":
            gate.open()
        assert connection.piece() == b"two"
        gate.open()
        assert connection.piece() == b"three"
        assert connection.piece() == b""


@rule(LENGTH, "MAY", "A `Content-Length` holds for `write()`, too.")
def test_write_with_a_length(site: Site) -> None:
    assert site.get("/write_with_length").raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 6\r\ndate: DATE\r\n\r\nabcdef"
    )


@rule(LENGTH, "SHOULD", "A `write()` past the `Content-Length` raises an error.")
def test_write_too_much(site: Site) -> None:
    response = site.get("/write_too_much")
    assert (response.get(b"content-length"), response.body) == (b"4", b"abcd")
    events = site.events("done")
    assert [event.split(":")[0] for event in events] == ["OSError", "OSError", "done"]
    assert "more was written than the Content-Length says" in events[0]


def test_write_too_little(site: Site) -> None:
    end = broken(site, "/write_too_little")
    assert b"abcdef".startswith(end.response.body)
    site.log("4 bytes less than its Content-Length says")
    site.events("closed")


@rule(
    "Unicode Issues", "MUST", "What is written is `bytes`; something else is an error that says so."
)
def test_write_something_else(bare: Site) -> None:
    kinds = ["str", "memoryview", "NoneType", "int", "list"]
    assert bare.get("/write_other").text.splitlines() == [
        f"write takes bytes, not {kind}" for kind in kinds
    ]


@lenient("`write` with a `bytearray`, or with pulsar's `force`", "it is written", "a `TypeError`")
def test_write_leniently(bare: Site) -> None:
    assert bare.get("/write_leniently").body == b"one two two "


def test_write_strictly(strict: Site) -> None:
    assert strict.get("/write_leniently").text.splitlines() == [
        "write takes bytes, not bytearray",
        "write takes one argument",
        "write takes one argument",
    ]


@rule("Error Handling", "MUST", "An error after a write aborts the response.")
def test_an_error_after_a_write(site: Site) -> None:
    if site.mode == "loop":
        # Nothing was sent yet.
        with site.connect() as connection:
            site.request(connection, "/write_and_raise")
            assert connection.response().code == 500
    else:
        assert broken(site, "/write_and_raise").response.chunks in ([b"one"], [])
    site.log("LookupError: after a write")


@rule(WRITE, "MUST", "A `write()` to a client that has left raises an error, on the pool.")
def test_write_to_nobody(site: Site) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/write_to_nobody", headers=[gate.header])
        site.events("called")
        connection.reset()
    gate.open()
    site.log(rf"EVENT {site.key} \w*Error")
    told = next(event for event in site.events("called") if "Error" in event)
    assert told.startswith("BrokenPipeError" if site.mode == "pool" else "OSError"), told
    site.get("/hello")
