"""Compressed responses: by tower-http's ``CompressionLayer``, and which of them."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from conftest import PATIENCE
from raw_http import connect, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from conftest import Client, Served, Start

APPLICATION = '''
import gzip
import threading
from urllib.parse import parse_qsl

TEXT = b"a line of text\\n" * 200
released = threading.Event()


def application(environ, start_response):
    """Respond as the query says: with these fields, in these pieces."""
    path = environ["PATH_INFO"]
    query = dict(parse_qsl(environ["QUERY_STRING"], keep_blank_values=True))
    status = query.pop("status", "200 OK")
    size = int(query.pop("size", len(TEXT)))
    headers = {"Content-Type": "text/plain", **query}
    if path == "/stream":
        start_response(status, list(headers.items()))
        return pieces()
    if path == "/release":
        released.set()
    body = (TEXT * (size // len(TEXT) + 1))[:size]
    if path == "/encoded":
        body = gzip.compress(body, mtime=0)
        headers["Content-Encoding"] = "gzip"
    if path != "/unsized":
        headers["Content-Length"] = str(len(body))
    start_response(status, [(name, value) for name, value in headers.items() if value])
    if environ["REQUEST_METHOD"] == "HEAD" or status[:3] in ("204", "304"):
        return []
    return [body] if path != "/unsized" else iter([body, b""])


def pieces():
    yield b"first "
    assert released.wait(60)
    yield b"second"
'''

TEXT = b"a line of text\n" * 200
GZIP = {"accept-encoding": "gzip"}


@pytest.fixture(scope="module")
def url(start_for_module: Start, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server that compresses, and its address."""
    directory = tmp_path_factory.mktemp("application")
    (directory / "app.py").write_text(APPLICATION)
    (directory / "a.txt").write_bytes(TEXT)
    served = start_for_module(
        *(sys.executable, "-m", "tower_wsgi", "app:application", "--bind", "127.0.0.1:0"),
        *("--workers", "1", "--compress", "--static", f"/static={directory}"),
        cwd=directory,
    )
    return served.url


def by_curl(url: str, *options: str) -> bytes:
    """What curl makes of a response."""
    command = ["curl", "--silent", "--show-error", "--compressed", "--max-time", f"{PATIENCE:.0f}"]
    try:
        return subprocess.run([*command, *options, url], capture_output=True, check=True).stdout
    except FileNotFoundError:
        pytest.skip("there is no curl")


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        ("gzip", "gzip"),
        ("br", "br"),
        ("zstd", "zstd"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip, deflate, br", "br"),
        ("gzip;q=0.9, br;q=0.1", "gzip"),
        ("identity", None),
        ("deflate", None),
        ("gzip;q=0", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("path", ["/", "/unsized"])
def test_the_coding_is_one_that_the_client_accepts(
    url: str, path: str, accepted: str, coding: str | None
) -> None:
    response = fetch(url, path, {"accept-encoding": accepted})
    assert response.status == 200
    assert response.headers.get("content-encoding") == coding
    assert response.headers["vary"].lower() == "accept-encoding"
    assert by_curl(f"{url}{path}", "--header", f"accept-encoding: {accepted}") == TEXT
    if coding == "gzip":
        assert gzip.decompress(response.body) == TEXT
    if coding:
        assert "content-length" not in response.headers
        assert len(response.body) < len(TEXT) / 10


NOT_COMPRESSED: list[tuple[str, str]] = [
    ("short", "/?size=511"),
    ("an event stream", "/?Content-Type=text/event-stream"),
    ("an event stream with parameters", "/?Content-Type=Text/Event-Stream;charset=utf-8"),
    ("an image", "/?Content-Type=image/png"),
    ("bytes", "/?Content-Type=application/octet-stream"),
    ("no type", "/?Content-Type="),
    ("gRPC", "/?Content-Type=application/grpc"),
    ("forbidden", "/?Cache-Control=no-transform"),
    ("forbidden among others", "/?Cache-Control=max-age=60,%20No-Transform"),
    ("a part", "/?status=206%20Partial&Content-Range=bytes%200-2999/9000"),
    ("a part without its range", "/?status=206%20Partial"),
    ("not modified", "/?status=304%20Not%20Modified"),
    ("no content", "/?status=204%20No%20Content"),
    ("a static file", "/static/a.txt"),
]


@pytest.mark.parametrize(
    ("_name", "target"), NOT_COMPRESSED, ids=[name for name, _ in NOT_COMPRESSED]
)
def test_what_is_not_compressed(url: str, _name: str, target: str) -> None:
    compressed = fetch(url, target, GZIP)
    plain = fetch(url, target)
    assert "content-encoding" not in compressed.headers
    assert compressed.body == plain.body
    assert compressed.headers.get("content-length") == plain.headers.get("content-length")


@pytest.mark.parametrize(
    "target",
    [
        "/?size=512",
        "/?Content-Type=TEXT/HTML;charset=utf-8",
        "/?Content-Type=application/json",
        "/?Content-Type=image/svg%2Bxml",
        "/?Cache-Control=no-transformation",
        "/?status=404%20Not%20Found",
    ],
)
def test_what_is_compressed(url: str, target: str) -> None:
    response = fetch(url, target, GZIP)
    assert response.headers["content-encoding"] == "gzip"
    assert gzip.decompress(response.body) == fetch(url, target).body


def test_what_the_application_has_encoded_stays(url: str) -> None:
    for accepted in ("gzip", "br", ""):
        response = fetch(url, "/encoded?ETag=%22a%22", {"accept-encoding": accepted})
        assert response.headers["content-encoding"] == "gzip"
        assert response.headers["etag"] == '"a"'
        assert gzip.decompress(response.body) == TEXT


def test_a_strong_tag_becomes_weak(url: str) -> None:
    def tag(query: str, headers: Mapping[str, str]) -> str:
        return fetch(url, f"/?{query}", headers).headers["etag"]

    assert tag("ETag=%22a%22", GZIP) == 'W/"a"'
    assert tag("ETag=W/%22a%22", GZIP) == 'W/"a"'
    assert tag("ETag=%22a%22", {}) == '"a"'
    assert tag("ETag=%22a%22&size=10", GZIP) == '"a"'


def test_head_has_the_fields_of_get(url: str) -> None:
    headers = GZIP
    head = fetch(url, "/?size=3000", headers, method="HEAD")
    got = fetch(url, "/?size=3000", headers)
    assert head.rest == b""
    for name in ("content-type", "vary", "content-encoding"):
        assert head.headers.get(name) == got.headers[name]
    assert "content-length" not in head.headers


def test_vary_is_added_to(url: str) -> None:
    response = fetch(url, "/?Vary=Cookie", GZIP)
    assert "accept-encoding" in response.headers["vary"].lower()


def test_a_piece_is_sent_as_soon_as_it_is_there(url: str) -> None:
    decoder = zlib.decompressobj(wbits=31)
    with connect(url) as connection:
        connection.sendall(
            b"GET /stream HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\nconnection: close\r\n\r\n"
        )
        reader = connection.makefile("rb")
        while (line := reader.readline()) != b"\r\n":
            assert line
        text = b""
        while text != b"first ":
            size = int(reader.readline(), 16)
            assert size, "it ended early"
            text += decoder.decompress(reader.read(size))
            reader.readline()
        # Only now does the application produce the rest.
        assert fetch(url, "/release").status == 200
        while size := int(reader.readline(), 16):
            text += decoder.decompress(reader.read(size))
            reader.readline()
    assert text + decoder.flush() == b"first second"
    assert decoder.eof


def test_clients_that_undo_it_by_themselves(url: str, client: Client) -> None:
    response = client.get(url)
    assert response.headers["content-encoding"] in ("gzip", "br", "zstd")
    assert response.content == TEXT
    assert by_curl(url) == TEXT


def test_many_at_once_are_bounded(serve: Callable[..., Served]) -> None:
    """Beyond the limit responses are sent as they are."""
    served = serve(
        *("app:application", "--compress", "--workers", "1", "--thread-workers", "100"),
        source=APPLICATION,
    )
    plain = 0
    with ExitStack() as connections:
        for _ in range(40):
            connection = connections.enter_context(connect(served.url))
            connection.sendall(b"GET /stream HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\n\r\n")
            head = b""
            while b"\r\n\r\n" not in head:
                head += connection.recv(200)
            plain += b"content-encoding" not in head
        assert plain == 40 - 32
        assert "content-encoding" not in fetch(served.url, "/release", GZIP).headers
    # Those that have ended do not count.
    deadline = time.monotonic() + PATIENCE
    while "content-encoding" not in fetch(served.url, "/", GZIP).headers:
        assert time.monotonic() < deadline


def test_types_and_size_can_be_chosen(serve: Callable[..., Served], tmp_path: Path) -> None:
    served = serve(
        "app:application",
        *("--compress", "--compress-types", "image/png", "--compress-types", "font/*"),
        *("--compress-min-size", "10", "--workers", "1"),
        source=APPLICATION,
    )
    for kind, size, is_compressed in [
        ("image/png", 10, True),
        ("font/woff", 3000, True),
        ("image/png", 9, False),
        ("text/plain", 3000, False),
    ]:
        response = fetch(served.url, f"/?Content-Type={kind}&size={size}", GZIP)
        assert ("content-encoding" in response.headers) == is_compressed, kind


def test_without_the_option_nothing_is_compressed(serve: Callable[..., Served]) -> None:
    served = serve("app:application", "--workers", "1", source=APPLICATION)
    response = fetch(served.url, "/", GZIP)
    assert response.body == TEXT
    assert "vary" not in response.headers


def test_a_type_that_is_none_is_a_sentence_at_the_start(serve: Callable[..., Served]) -> None:
    served = serve(
        *("app:application", "--compress", "--compress-types", "text"),
        source=APPLICATION,
        addresses=0,
    )
    assert served.wait() != 0
    assert '"text" is no content type; choose one such as "text/html" or "text/*"' in served.log
