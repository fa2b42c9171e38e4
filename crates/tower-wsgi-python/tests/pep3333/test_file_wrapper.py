"""wsgi.file_wrapper."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from pep3333.rules import rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pathlib import Path

    from pep3333.conftest import Site

FILES = "Optional Platform-Specific File Handling"
DATA = bytes(range(256)) * 1000
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    return path


def headers(path: Path, **more: str) -> list[tuple[str, str]]:
    return [("X-Path", str(path)), *((f"X-{name.title()}", value) for name, value in more.items())]


@rule(
    FILES,
    "MUST",
    "A wrapper takes a file and, if wanted, a block size, and is an iterable of what the file reads.",
)
@pytest.mark.parametrize("block", ["1000", "1000000"])
@pytest.mark.parametrize(
    "kind",
    [
        "open",
        "unbuffered",
        "read and write",
        "BytesIO",
        "reader",
        "pipe",
        "subclass",
        "subclass of reader",
        "reader of subclass",
    ],
)
def test_a_file_is_sent(site: Site, tmp_path: Path, kind: str, block: str) -> None:
    path = tmp_path / "data"
    data = DATA if kind != "pipe" else DATA[:50_000]
    path.write_bytes(data)
    response = site.get("/file", headers=headers(path, kind=kind, block=block))
    assert response.code == 200
    # The server must not take a file for what it overrides.
    assert response.body == (data.upper() if "subclass" in kind else data)


@rule(FILES, "MAY", "A file on disk gets its `Content-Length`.")
def test_the_length_of_a_file(bare: Site, path: Path) -> None:
    assert bare.get("/file", headers=headers(path)).raw == (
        HEAD + b"content-length: %d\r\ndate: DATE\r\n\r\n" % len(DATA) + DATA
    )


@rule(FILES, "SHOULD", "It is sent from its position on, to its end.")
@pytest.mark.parametrize(("kind", "start"), [("from 10", 10), ("at the end", len(DATA))])
def test_from_a_position(site: Site, path: Path, kind: str, start: int) -> None:
    assert site.get("/file", headers=headers(path, kind=kind)).body == DATA[start:]


def test_an_empty_file(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert (
        site.get("/file", headers=headers(path)).raw
        == HEAD + b"content-length: 0\r\ndate: DATE\r\n\r\n"
    )


@rule(FILES, "SHOULD", "Or until `Content-Length` bytes are sent.")
@pytest.mark.parametrize("kind", ["open", "from 10", "BytesIO"])
@pytest.mark.parametrize("length", [0, 1, 100_000])
def test_a_part_of_a_file(site: Site, path: Path, kind: str, length: int) -> None:
    start = 10 if kind == "from 10" else 0
    response = site.get("/file", headers=headers(path, kind=kind, length=str(length)))
    assert response.raw == (
        HEAD + b"content-length: %d\r\ndate: DATE\r\n\r\n" % length + DATA[start : start + length]
    )


@rule(
    "Handling the Content-Length Header",
    "SHOULD",
    "A file that is shorter than its `Content-Length` is an error.",
)
@pytest.mark.parametrize("kind", ["open", "BytesIO"])
def test_a_file_that_is_too_short(site: Site, path: Path, kind: str) -> None:
    told = headers(path, kind=kind, length=str(len(DATA) + 1))
    if kind == "open" and not site.validated:
        # The server sees the file's length before it sends anything.
        assert site.get("/file", headers=told).code == 500
        site.log("the file has 1 bytes less than the Content-Length says")
        return
    # What the application reads is sent as it comes, so the response is known to be short at its end.
    end = broken(site, "/file", headers=told)
    assert end.response.head == HEAD + b"content-length: 256001\r\ndate: DATE\r\n\r\n"
    assert end.response.body == DATA
    site.log("1 bytes less than its Content-Length says")


@rule(
    FILES, "MUST NOT", "Nothing is transmitted unless the wrapper is what the application returns."
)
def test_a_wrapper_that_is_not_returned(site: Site, path: Path) -> None:
    assert site.get("/file_then_other", headers=headers(path)).body == b"not the file 0"


@rule(FILES, "MUST", "Middleware can read the wrapper, and close it.")
def test_middleware_reads_the_wrapper(site: Site, path: Path) -> None:
    path.write_bytes(b"a file of 26 bytes, or so.")
    response = site.get("/file_through_middleware", headers=headers(path))
    assert response.body == b"[a file ][of 26 b][ytes, o][r so.]"
    site.events("the file is closed True")


def test_head_of_a_file(site: Site, path: Path) -> None:
    response = site.get("/file", "HEAD", headers=headers(path))
    assert response.get(b"content-length") in (str(len(DATA)).encode(), None)


@rule("The write() Callable", "MUST", "A file that is returned is sent after what was written.")
def test_a_file_after_a_write(site: Site, path: Path) -> None:
    assert site.get("/file_after_write", headers=headers(path)).body == b"first " + DATA


def test_a_text_file(bare: Site) -> None:
    from pathlib import Path

    assert bare.get("/file", headers=headers(Path(__file__), kind="text")).code == 500
    bare.log("the application yielded str as a piece of its body, not bytes; encode it")


def test_a_file_that_shrinks(bare: Site, tmp_path: Path) -> None:
    path = tmp_path / "large"
    size = 64 << 20
    with path.open("wb") as file:
        file.truncate(size)
    with bare.connect() as connection:
        bare.request(connection, "/file", headers=headers(path))
        # More than all buffers on the way can hold is yet to be read.
        head = connection.head()
        assert head.get(b"content-length") == str(size).encode()
        with path.open("r+b") as file:
            file.truncate(1 << 20)
        with pytest.raises((EOFError, ConnectionResetError)):
            connection._exactly(size, None)


@rule(FILES, "MAY", "A large file goes out without Python, and without memory for it.")
def test_a_large_file(bare: Site, tmp_path: Path) -> None:
    path = tmp_path / "gigabyte"
    size = 1 << 30
    with path.open("wb") as file:
        file.truncate(size)
    before = int(bare.get("/process_memory").text)
    buffer = bytearray(1 << 20)
    with bare.connect() as connection:
        bare.request(connection, "/file", headers=headers(path))
        assert connection.head().get(b"content-length") == str(size).encode()
        left = size - len(connection.received)
        connection.received = b""
        while left:
            count = connection.socket.recv_into(buffer, min(left, len(buffer)))
            assert count
            left -= count
        bare.request(connection, "/process_memory")
        after = int(connection.response().text)
    # In kB. Nothing near the size of the file.
    assert after - before < 32 << 10
