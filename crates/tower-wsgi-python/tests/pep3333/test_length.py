"""Content-Length."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pep3333.rules import mistake, rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pep3333.conftest import Site

LENGTH = "Handling the Content-Length Header"


def asked(site: Site) -> list[str]:
    """What was asked of the application."""
    return [event for event in site.events("closed") if event.startswith("asked")]


@rule(LENGTH, "MAY", "A list or tuple whose `len()` is 1 gets a `Content-Length`.")
@rule("Specification Details", "MUST", "`len(iterable)`, where there is one, is relied on.")
@pytest.mark.parametrize("shape", ["list", "tuple"])
def test_one_chunk_gets_a_length(bare: Site, shape: str) -> None:
    assert bare.get("/one", headers=[("X-Shape", shape)]).raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 5\r\ndate: DATE\r\n\r\nhello"
    )


@rule(LENGTH, "MAY", "Others are sent in chunks to HTTP/1.1.")
def test_unknown_length_is_chunked(site: Site) -> None:
    assert site.get("/one", headers=[("X-Shape", "generator")]).raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\ndate: DATE\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    )


@rule(LENGTH, "MAY", "A body that turns out to be empty has the length 0.")
@pytest.mark.parametrize("shape", ["list", "empty", "generator", "tuple"])
def test_empty_body(site: Site, shape: str) -> None:
    assert site.get("/nothing", headers=[("X-Shape", shape)]).raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 0\r\ndate: DATE\r\n\r\n"
    )


@rule(LENGTH, "SHOULD", "When enough was sent, the iteration stops.")
@pytest.mark.parametrize(
    ("length", "chunks", "body", "expected"),
    [
        (6, [b"abc", b"def"], b"abcdef", ["asked b'abc'", "asked b'def'"]),
        (3, [b"abc", b"def"], b"abc", ["asked b'abc'"]),
        (0, [], b"", ["asked for the end"]),
        (3, [b"", b"abc", b""], b"abc", ["asked b''", "asked b'abc'"]),
    ],
)
def test_enough(
    site: Site, length: int, chunks: list[bytes], body: bytes, expected: list[str]
) -> None:
    headers = [("X-Length", str(length)), ("X-Chunks", repr(chunks))]
    response = site.get("/length", headers=headers)
    assert response.raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: %d\r\ndate: DATE\r\n\r\n%s"
        % (length, body)
    )
    assert asked(site) == expected


@rule(LENGTH, "SHOULD NOT", "No more bytes are sent than the header allows; that is logged.")
@mistake("What is over the `Content-Length` is sent, and becomes the next response.")
@pytest.mark.parametrize(
    ("length", "chunks", "body"),
    [
        (4, [b"abc", b"def", b"ghi"], b"abcd"),
        (2, [b"abc"], b"ab"),
        (0, [b"abc"], b""),
        (0, [b"", b"abc", b"d"], b""),
    ],
)
@pytest.mark.parametrize("name", ["length", "length_of_list"])
def test_too_much(site: Site, name: str, length: int, chunks: list[bytes], body: bytes) -> None:
    response = site.get(f"/{name}", headers=[("X-Length", str(length)), ("X-Chunks", repr(chunks))])
    assert (response.code, response.get(b"content-length")) == (200, str(length).encode())
    assert response.body == body
    site.log("more than its Content-Length says")
    if name == "length" and length == 4:
        assert asked(site) == ["asked b'abc'", "asked b'def'"]


@rule(LENGTH, "SHOULD", "When less was given, the connection is closed and the error logged.")
@mistake("With less than its `Content-Length` a response is left open for ever.")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
@pytest.mark.parametrize("name", ["length", "length_of_list"])
@pytest.mark.parametrize("chunks", [[b"abc", b"def"], [b"abc"]])
def test_too_little(site: Site, name: str, chunks: list[bytes], version: str) -> None:
    headers = [("X-Length", "10"), ("X-Chunks", repr(chunks))]
    end = broken(site, f"/{name}", headers=headers, version=version)
    given = b"".join(chunks)
    if version == "1.1":
        # Each piece was sent before the next was asked for, so all that was given has arrived.
        assert not end.reset
        assert end.response.raw == (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 10\r\ndate: DATE\r\n\r\n%s"
            % given
        )
    else:
        # A reset, which may overtake what was sent.
        assert end.reset
        assert given.startswith(end.response.body)
    site.log(f"{10 - len(given)} bytes less than its Content-Length says")


@rule(LENGTH, "SHOULD", "When nothing at all was given, it is a 500: nothing was sent yet.")
def test_nothing_of_a_length(site: Site) -> None:
    for name in ("length", "length_of_list"):
        assert site.get(f"/{name}", headers=[("X-Length", "3"), ("X-Chunks", "[b'']")]).code == 500
    site.log("3 bytes less than its Content-Length says")
