"""The frames of WebSockets, by the cases of the Autobahn test suite in words of our own.

The numbers are those of Autobahn. Only compression (12 and 13) is left out: it is not negotiated.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from ws_client import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_payload,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Served

# With characters of one to four bytes.
TEXTS = "Hello-µ@ßöäüàá-UTF-8!! κόσμε €2 𝄞 \U0010ffff"


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., Served]) -> Served:
    return start_for_module(
        *(sys.executable, "-m", "tower_wsgi", "ws_application"),
        *("--pythonpath", Path(__file__).parent, "--bind", "127.0.0.1:0", "--workers", "1"),
    )


@pytest.fixture
def client(server: Served) -> Iterator[RawClient]:
    with RawClient(server.url, "/echo") as client:
        yield client


def closes_well(client: RawClient, code: int = 1000) -> None:
    client.send(frame(CLOSE, close_payload(code)))
    assert client.receive_close() == (code, "")
    assert client.is_ended()


def fails(client: RawClient, code: int) -> None:
    """The connection is closed with this code, and nothing else comes."""
    assert client.receive_close()[0] == code
    client.send(frame(CLOSE, close_payload(code)))
    client.close()


@pytest.mark.parametrize("size", [0, 1, 125, 126, 127, 128, 65535, 65536, 65537, 1 << 20])
@pytest.mark.parametrize("packet", [None, 997])
@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_1_a_message_of_any_size_is_echoed(
    client: RawClient, opcode: int, size: int, packet: int | None
) -> None:
    payload = b"*" * size if opcode == TEXT else b"\xfe" * size
    client.send_slowly(frame(opcode, payload), packet or 1 << 30)
    assert client.receive() == (opcode, payload)
    closes_well(client)


def test_9_a_message_of_16_mib_is_echoed(client: RawClient) -> None:
    payload = b"\x00\xfe" * (8 << 20)
    client.send(frame(BINARY, payload))
    assert client.receive() == (BINARY, payload)


def test_9_fragments_of_64_bytes_make_a_mebibyte(client: RawClient) -> None:
    count = (1 << 20) // 64
    fragments = [
        frame(CONTINUATION if number else BINARY, b"x" * 64, fin=number == count - 1)
        for number in range(count)
    ]
    client.send(b"".join(fragments))
    assert client.receive() == (BINARY, b"x" * (1 << 20))


@pytest.mark.parametrize("payload", [b"", b"Hello, world!", bytes(range(120, 245))])
def test_2_a_ping_is_replied_to_with_its_payload(client: RawClient, payload: bytes) -> None:
    client.send_slowly(frame(PING, payload), 3)
    assert client.receive() == (PONG, payload)
    closes_well(client)


def test_2_5_a_ping_of_126_bytes_fails(client: RawClient) -> None:
    client.send(frame(PING, b"\xfe" * 126))
    fails(client, 1002)


def test_2_7_a_pong_without_a_ping_is_ignored(client: RawClient) -> None:
    client.send(frame(PONG) + frame(PONG, b"unsolicited") + frame(PING, b"then a ping"))
    assert client.receive() == (PONG, b"then a ping")


def test_2_10_each_of_ten_pings_has_its_pong(client: RawClient) -> None:
    payloads = [f"payload-{number}".encode() for number in range(10)]
    client.send(b"".join(frame(PING, payload) for payload in payloads))
    assert [client.receive() for _ in payloads] == [(PONG, payload) for payload in payloads]


@pytest.mark.parametrize("reserved", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_3_reserved_bits_fail(client: RawClient, opcode: int, reserved: int) -> None:
    client.send(frame(TEXT, b"before"))
    assert client.receive() == (TEXT, b"before")
    client.send(frame(opcode, reserved=reserved) + frame(PING, b"not replied to"))
    fails(client, 1002)


@pytest.mark.parametrize("opcode", [3, 4, 5, 6, 7, 11, 12, 13, 14, 15])
def test_4_reserved_opcodes_fail(client: RawClient, opcode: int) -> None:
    client.send(frame(TEXT, b"before"))
    assert client.receive() == (TEXT, b"before")
    client.send(frame(opcode, b"reserved") + frame(PING, b"not replied to"))
    fails(client, 1002)


@pytest.mark.parametrize("opcode", [PING, PONG, CLOSE])
def test_5_1_control_frames_are_not_fragmented(client: RawClient, opcode: int) -> None:
    client.send(frame(opcode, b"frag", fin=False) + frame(CONTINUATION, b"ment"))
    fails(client, 1002)


@pytest.mark.parametrize("packet", [1, 1 << 30])
def test_5_3_fragments_become_one_message_with_pings_between_them(
    client: RawClient, packet: int
) -> None:
    fragments = [
        frame(TEXT, b"fragment1", fin=False),
        frame(PING, b"first"),
        frame(CONTINUATION, b"", fin=False),
        frame(CONTINUATION, b"fragment2", fin=False),
        frame(PING, b"second"),
        frame(CONTINUATION, b"fragment3"),
    ]
    client.send_slowly(b"".join(fragments), packet)
    assert client.receive() == (PONG, b"first")
    assert client.receive() == (PONG, b"second")
    assert client.receive() == (TEXT, b"fragment1fragment2fragment3")
    closes_well(client)


@pytest.mark.parametrize("fin", [True, False])
def test_5_9_a_continuation_of_nothing_fails(client: RawClient, fin: bool) -> None:
    client.send(frame(CONTINUATION, b"non-continuation", fin=fin) + frame(TEXT, b"hello"))
    fails(client, 1002)


def test_5_15_nor_after_a_whole_message(client: RawClient) -> None:
    client.send(frame(TEXT, b"first", fin=False) + frame(CONTINUATION, b"last"))
    assert client.receive() == (TEXT, b"firstlast")
    client.send(frame(CONTINUATION, b"more", fin=False) + frame(TEXT, b"hello"))
    fails(client, 1002)


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_5_18_a_new_message_within_fragments_fails(client: RawClient, opcode: int) -> None:
    client.send(frame(TEXT, b"fragment1", fin=False) + frame(opcode, b"fragment2"))
    fails(client, 1002)


@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_6_text_may_be_split_within_its_characters(client: RawClient, size: int) -> None:
    data = TEXTS.encode()
    parts = [data[start : start + size] for start in range(0, len(data), size)]
    frames = [
        frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    client.send(b"".join(frames))
    assert client.receive() == (TEXT, data)
    closes_well(client)


def test_6_1_empty_fragments_are_text(client: RawClient) -> None:
    client.send(frame(TEXT, fin=False) + frame(CONTINUATION, fin=False) + frame(CONTINUATION))
    assert client.receive() == (TEXT, b"")


@pytest.mark.parametrize(
    "text",
    [
        "κόσμε".encode(),
        *(chr(code).encode() for code in (0, 0x7F, 0x80, 0x7FF, 0x800, 0xD7FF, 0xE000, 0xFFFD)),
        *(chr(code).encode() for code in (0xFFFE, 0xFFFF, 0x10000, 0x1FFFE, 0x10FFFF)),
    ],
)
def test_6_valid_utf_8_is_echoed(client: RawClient, text: bytes) -> None:
    client.send(frame(TEXT, text))
    assert client.receive() == (TEXT, text)


INVALID = [
    b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80edited",
    b"\xf4\x90\x80\x80",
    b"\xf8\x88\x80\x80\x80",
    b"\xfc\x84\x80\x80\x80\x80",
    b"\x80",
    b"\xbf\x80",
    b"\xc3 ",
    b"\xe0\x80",
    b"\xc0\xaf",
    b"\xe0\x80\xaf",
    b"\xf0\x80\x80\xaf",
    b"\xed\xa0\x80",
    b"\xed\xaf\xbf\xed\xb0\x80",
    b"\xfe",
    b"\xff",
    b"half a character \xf0\x9d\x84",
]


@pytest.mark.parametrize("text", INVALID)
def test_6_invalid_utf_8_fails(client: RawClient, text: bytes) -> None:
    client.send(frame(TEXT, text))
    fails(client, 1007)


@pytest.mark.parametrize("text", INVALID)
def test_6_also_when_it_is_split_over_fragments(client: RawClient, text: bytes) -> None:
    client.send(frame(TEXT, b"valid ", fin=False) + frame(CONTINUATION, text[:1], fin=False))
    client.send(frame(CONTINUATION, text[1:]))
    fails(client, 1007)


def test_6_4_it_fails_with_the_fragment_and_not_with_the_message(client: RawClient) -> None:
    client.send(frame(TEXT, "κόσμε".encode(), fin=False))
    client.send(frame(CONTINUATION, b"\xf4\x90\x80\x80", fin=False))
    # The rest of the message is never sent.
    fails(client, 1007)


def test_7_1_after_a_close_nothing_is_replied_to(client: RawClient) -> None:
    client.send(frame(CLOSE, close_payload(1000)) + frame(TEXT, b"late") + frame(PING, b"late"))
    assert client.receive_close() == (1000, "")
    assert client.is_ended()


def test_7_1_a_close_within_a_message_ends_it(client: RawClient) -> None:
    client.send(frame(TEXT, b"fragment1", fin=False) + frame(CLOSE, close_payload(1000)))
    assert client.receive_close() == (1000, "")
    assert client.is_ended()


def test_7_3_a_close_may_be_empty(client: RawClient) -> None:
    client.send(frame(CLOSE))
    assert client.receive_close() == (1005, "")
    assert client.is_ended()


def test_7_3_a_close_of_one_byte_fails(client: RawClient) -> None:
    client.send(frame(CLOSE, b"a"))
    fails(client, 1002)


def test_7_3_a_reason_of_123_bytes_is_echoed(client: RawClient) -> None:
    client.send(frame(CLOSE, close_payload(1000, "*" * 123)))
    assert client.receive_close() == (1000, "*" * 123)
    assert client.is_ended()


def test_7_3_a_reason_of_124_bytes_fails(client: RawClient) -> None:
    client.send(frame(CLOSE, close_payload(1000, "*" * 124)))
    fails(client, 1002)


def test_7_5_a_reason_that_is_not_utf_8_fails(client: RawClient) -> None:
    client.send(frame(CLOSE, close_payload(1000, b"\xce\xba\xe1\xbd\xb9\xed\xa0\x80")))
    fails(client, 1007)


@pytest.mark.parametrize(
    "code", [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999]
)
def test_7_7_valid_codes_are_echoed(client: RawClient, code: int) -> None:
    closes_well(client, code)


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999, 5000, 65535])
def test_7_9_invalid_codes_fail(client: RawClient, code: int) -> None:
    client.send(frame(CLOSE, close_payload(code)))
    fails(client, 1002)


def test_10_a_message_may_be_fragmented_by_the_client_only(client: RawClient) -> None:
    payload = b"*" * 65536
    parts = [payload[start : start + 1300] for start in range(0, len(payload), 1300)]
    frames = [
        frame(CONTINUATION if number else TEXT, part, fin=number == len(parts) - 1)
        for number, part in enumerate(parts)
    ]
    client.send(b"".join(frames))
    assert client.receive() == (TEXT, payload)


@pytest.mark.parametrize("opcode", [TEXT, BINARY, PING, CLOSE])
def test_a_frame_without_a_mask_fails(client: RawClient, opcode: int) -> None:
    client.send(frame(opcode, b"", masked=False))
    fails(client, 1002)


def test_a_length_that_no_memory_has_fails(client: RawClient) -> None:
    client.send(frame(BINARY, length=(1 << 63) - 1))
    fails(client, 1009)
