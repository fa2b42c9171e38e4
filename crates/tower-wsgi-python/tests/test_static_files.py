"""Static files, as clients see them: tower-http's ``ServeDir``, and what it leaves open."""

from __future__ import annotations

import gzip
import json
import os
import random
import socket
import subprocess
import sys
import threading
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest
from conftest import PATIENCE
from raw_http import RawResponse, fetch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from conftest import Client, Served, Start

APPLICATION = """
def application(environ, start_response):
    method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
    body = f"application {method} {path}".encode("latin-1")
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [] if method == "HEAD" else [body]
"""

TEXT = b"0123456789" * 10
BIG = bytes(range(256)) * 1200
STYLE = b"a { color: red }\n" * 100
SECRET = b"this is outside"
# 2026-01-02 03:04:05, in whole seconds so that a date names it exactly.
MODIFIED = 1767323045
DATE = formatdate(MODIFIED, usegmt=True)
EARLIER = formatdate(MODIFIED - 1, usegmt=True)
LATER = formatdate(MODIFIED + 1, usegmt=True)


def make_files(directory: Path) -> Path:
    """Write the files, and what must not be served beside them."""
    root = directory / "files"
    (root / "css").mkdir(parents=True)
    (directory / "secret.txt").write_bytes(SECRET)
    contents = {
        "a.txt": TEXT,
        "big.bin": BIG,
        "empty.txt": b"",
        "css/style.css": STYLE,
        "css/style.css.gz": gzip.compress(STYLE, mtime=0),
        "css/style.css.br": b"brotli",
        "css/style.css.zst": b"zstd",
        "css/only.css": STYLE,
        "css/only.css.gz": gzip.compress(STYLE, mtime=0),
        "base.1f418065fc2c.css": STYLE,
        "a b.txt": b"space",
        "é.txt": b"accent",
        "100%.txt": b"percent",
        "a+b.txt": b"plus",
        "..a.txt": b"dots",
        "no_extension": b"none",
        "index.html": b"index",
    }
    for name, content in contents.items():
        (root / name).write_bytes(content)
        os.utime(root / name, (MODIFIED, MODIFIED))
    (root / "link.txt").symlink_to("a.txt")
    (root / "css-link").symlink_to("css")
    (root / "css/up.txt").symlink_to("../a.txt")
    (root / "absolute.txt").symlink_to(root / "a.txt")
    (root / "out.txt").symlink_to("../secret.txt")
    (root / "out").symlink_to("..")
    (root / "etc").symlink_to("/etc")
    (root / "dangling.txt").symlink_to("missing.txt")
    (root / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        # The path of a socket has to be short.
        directory_fd = os.open(root, os.O_RDONLY)
        listener.bind(f"/proc/self/fd/{directory_fd}/socket")
        os.close(directory_fd)
    return root


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of the files."""
    return make_files(tmp_path_factory.mktemp("static"))


@pytest.fixture(scope="module")
def url(start_for_module: Start, root: Path, tmp_path_factory: pytest.TempPathFactory) -> str:
    """A server of the files, on one worker, and its address."""
    directory = tmp_path_factory.mktemp("application")
    (directory / "app.py").write_text(APPLICATION)
    served = start_for_module(
        *(sys.executable, "-m", "tower_wsgi", "app:application", "--bind", "127.0.0.1:0"),
        *("--workers", "1", "--static", f"/static={root}", "--static", f"/static/more={root}/css"),
        cwd=directory,
    )
    return served.url


@pytest.fixture(scope="module")
def tag(url: str) -> str:
    """The entity tag of a.txt."""
    return fetch(url, "/static/a.txt").headers["etag"]


def test_files_over_http2(url: str) -> None:
    def curl(target: str, *options: str) -> tuple[list[str], bytes]:
        command = ["curl", "--silent", "--http2-prior-knowledge", "--dump-header", "-", *options]
        command += ["--max-time", f"{PATIENCE:.0f}", f"{url}{target}"]
        try:
            shown = subprocess.run(command, capture_output=True, check=True).stdout
        except FileNotFoundError:
            pytest.skip("there is no curl")
        head, _, body = shown.partition(b"\r\n\r\n")
        return head.decode().split("\r\n"), body

    head, body = curl("/static/a.txt")
    assert head[0].startswith("HTTP/2 200")
    assert body == TEXT
    (tag,) = (line for line in head if line.startswith("etag: "))
    head, body = curl("/static/a.txt", "--range", "10-19")
    assert head[0].startswith("HTTP/2 206")
    assert body == TEXT[10:20]
    head, body = curl("/static/a.txt", "--header", tag.replace("etag", "if-none-match"))
    assert head[0].startswith("HTTP/2 304")
    head, body = curl("/static/big.bin")
    assert body == BIG
    head, body = curl("/static/../secret.txt", "--path-as-is")
    assert SECRET not in body
    head, body = curl("/static/missing")
    assert body == b"application GET /static/missing"


def test_a_file_has_all_that_a_cache_needs(url: str) -> None:
    response = fetch(url, "/static/a.txt")
    assert response.status == 200
    assert response.body == TEXT
    headers = response.headers
    assert headers["content-type"] == "text/plain"
    assert headers["content-length"] == "100"
    assert headers["last-modified"] == DATE
    assert headers["etag"].startswith('"')
    assert headers["accept-ranges"] == "bytes"
    assert headers["cache-control"] == "public, max-age=60"
    assert headers["vary"] == "accept-encoding"
    assert fetch(url, "/static/a.txt").headers["etag"] == headers["etag"]
    head = fetch(url, "/static/a.txt", method="HEAD")
    assert (head.status, head.rest) == (200, b"")
    for name in ("content-type", "content-length", "last-modified", "etag", "cache-control"):
        assert head.headers[name] == headers[name]


# The status, and the body or the part of it.
RANGES: list[tuple[str, dict[str, str], int, bytes | None]] = [
    ("first bytes", {"range": "bytes=0-9"}, 206, TEXT[:10]),
    ("one byte", {"range": "bytes=0-0"}, 206, TEXT[:1]),
    ("middle", {"range": "bytes=15-24"}, 206, TEXT[15:25]),
    ("to the end", {"range": "bytes=90-"}, 206, TEXT[90:]),
    ("the last bytes", {"range": "bytes=-7"}, 206, TEXT[-7:]),
    ("all", {"range": "bytes=0-"}, 206, TEXT),
    ("as many last bytes as there are", {"range": "bytes=-100"}, 206, TEXT),
    ("more last bytes than there are", {"range": "bytes=-101"}, 200, TEXT),
    ("far more last bytes", {"range": "bytes=-99999999999999999999999"}, 200, TEXT),
    ("a range from below", {"range": "bytes=-5-9"}, 416, None),
    ("the whole length", {"range": "bytes=0-99"}, 206, TEXT),
    ("beyond the end", {"range": "bytes=95-1000"}, 206, TEXT[95:]),
    ("behind the end", {"range": "bytes=100-"}, 416, None),
    ("far behind the end", {"range": "bytes=100000000000-"}, 416, None),
    ("backwards", {"range": "bytes=9-5"}, 416, None),
    ("no number", {"range": "bytes=a-b"}, 416, None),
    ("nothing", {"range": "bytes="}, 416, None),
    ("negative nothing", {"range": "bytes=-0"}, 416, None),
    ("too large a number", {"range": "bytes=0-99999999999999999999999"}, 416, None),
    ("two ranges", {"range": "bytes=0-1,5-6"}, 200, TEXT),
    ("a hundred ranges", {"range": "bytes=" + ",".join(["0-"] * 100)}, 200, TEXT),
    ("another unit", {"range": "lines=0-1"}, 200, TEXT),
    ("no unit", {"range": "0-1"}, 200, TEXT),
]


@pytest.mark.parametrize(("_name", "headers", "status", "body"), RANGES, ids=[r[0] for r in RANGES])
def test_ranges(
    url: str, _name: str, headers: dict[str, str], status: int, body: bytes | None
) -> None:
    response = fetch(url, "/static/a.txt", headers)
    assert response.status == status
    if status == 206:
        assert body is not None
        first = int(response.headers["content-range"].split(" ")[1].split("-")[0])
        assert response.headers["content-range"] == f"bytes {first}-{first + len(body) - 1}/100"
        assert TEXT[first : first + len(body)] == body
    if status == 416:
        assert response.headers["content-range"] == "bytes */100"
        assert "cache-control" not in response.headers
    if body is not None:
        assert response.body == body
        assert response.headers["content-length"] == str(len(body))


def test_a_range_of_an_empty_file(url: str) -> None:
    # It has no part that a Content-Range could name.
    for headers in ({}, {"range": "bytes=0-"}, {"range": "bytes=-5"}):
        response = fetch(url, "/static/empty.txt", headers)
        assert (response.status, response.body) == (200, b"")
        assert response.headers["content-length"] == "0"
        assert "content-range" not in response.headers


def test_head_has_no_ranges(url: str) -> None:
    response = fetch(url, "/static/a.txt", {"range": "bytes=0-9"}, method="HEAD")
    assert (response.status, response.headers["content-length"]) == (200, "100")


@pytest.mark.parametrize(
    ("if_range", "is_partial"),
    [
        ("TAG", True),
        (DATE, True),
        ('"other"', False),
        ("W/TAG", False),
        (EARLIER, False),
        (LATER, False),
        ("nonsense", False),
    ],
)
def test_a_part_of_another_version_is_not_continued(
    url: str, tag: str, if_range: str, is_partial: bool
) -> None:
    headers = {"range": "bytes=90-", "if-range": if_range.replace("TAG", tag)}
    response = fetch(url, "/static/a.txt", headers)
    assert (response.status, response.body) == ((206, TEXT[90:]) if is_partial else (200, TEXT))


CONDITIONS: list[tuple[dict[str, str], int]] = [
    ({"if-none-match": "TAG"}, 304),
    ({"if-none-match": "W/TAG"}, 304),
    ({"if-none-match": "*"}, 304),
    ({"if-none-match": '"other", TAG'}, 304),
    ({"if-none-match": '"a,b" , W/TAG'}, 304),
    ({"if-none-match": '"other"'}, 200),
    ({"if-modified-since": DATE}, 304),
    ({"if-modified-since": LATER}, 304),
    ({"if-modified-since": EARLIER}, 200),
    ({"if-modified-since": "yesterday"}, 200),
    # The tag is the better of the two.
    ({"if-none-match": '"other"', "if-modified-since": LATER}, 200),
    ({"if-none-match": "TAG", "if-modified-since": EARLIER}, 304),
    ({"if-match": "TAG"}, 200),
    ({"if-match": "*"}, 200),
    ({"if-match": '"other", TAG'}, 200),
    ({"if-match": '"other"'}, 412),
    ({"if-match": "W/TAG"}, 412),
    ({"if-unmodified-since": DATE}, 200),
    ({"if-unmodified-since": LATER}, 200),
    ({"if-unmodified-since": EARLIER}, 412),
    ({"if-unmodified-since": "yesterday"}, 200),
    ({"if-match": "TAG", "if-unmodified-since": EARLIER}, 200),
    ({"if-match": '"other"', "if-none-match": "TAG"}, 412),
    ({"if-none-match": "TAG", "range": "bytes=0-9"}, 304),
    ({"if-match": "TAG", "range": "bytes=0-9"}, 206),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("headers", "status"), CONDITIONS, ids=[json.dumps(c[0]) for c in CONDITIONS]
)
def test_conditions(url: str, tag: str, headers: dict[str, str], status: int, method: str) -> None:
    sent = {name: value.replace("TAG", tag) for name, value in headers.items()}
    response = fetch(url, "/static/a.txt", sent, method)
    if method == "HEAD" and status == 206:
        status = 200
    assert response.status == status
    if status == 304:
        assert response.rest == b""
        # What the response 200 would have (RFC 9110 section 15.4.5).
        assert response.headers["etag"] == tag
        assert response.headers["last-modified"] == DATE
        assert response.headers["cache-control"] == "public, max-age=60"
        assert response.headers["vary"] == "accept-encoding"


def test_a_condition_in_two_lines(url: str, tag: str) -> None:
    response = fetch(url, "/static/a.txt", {"if-none-match": f'"x"\r\nif-none-match: {tag}'})
    assert response.status == 304
    response = fetch(url, "/static/a.txt", {"if-match": f'"x"\r\nif-match: {tag}'})
    assert response.status == 200


CODINGS = [
    ("", None),
    ("identity", None),
    ("gzip", "gzip"),
    ("br", "br"),
    ("zstd", "zstd"),
    ("gzip, br, zstd", "zstd"),
    ("gzip, deflate, br", "br"),
    ("gzip;q=1.0, br;q=0.5", "gzip"),
    ("gzip;q=0", None),
    ("deflate", None),
    ("GZIP", "gzip"),
    ("identity, gzip;q=0.5", None),
]


@pytest.mark.parametrize(("accepted", "coding"), CODINGS)
def test_a_compressed_form_beside_the_file(url: str, accepted: str, coding: str | None) -> None:
    response = fetch(url, "/static/css/style.css", {"accept-encoding": accepted})
    assert response.status == 200
    assert response.headers["content-type"] == "text/css"
    assert response.headers["vary"] == "accept-encoding"
    assert response.headers.get("content-encoding") == coding
    contents = {
        None: STYLE,
        "gzip": gzip.compress(STYLE, mtime=0),
        "br": b"brotli",
        "zstd": b"zstd",
    }
    assert response.body == contents[coding]
    plain = fetch(url, "/static/css/style.css")
    assert (plain.headers["etag"] == response.headers["etag"]) == (coding is None)
    # Each form is a representation of its own, with its own ranges and conditions.
    part = fetch(url, "/static/css/style.css", {"accept-encoding": accepted, "range": "bytes=1-3"})
    assert part.body == contents[coding][1:4]
    same = {"accept-encoding": accepted, "if-none-match": response.headers["etag"]}
    assert fetch(url, "/static/css/style.css", same).status == 304


def test_a_file_without_the_form_that_is_preferred(url: str) -> None:
    for accepted, coding in [("zstd, br, gzip", "gzip"), ("zstd, br", None)]:
        response = fetch(url, "/static/css/only.css", {"accept-encoding": accepted})
        assert response.headers.get("content-encoding") == coding
        body = response.body if coding is None else gzip.decompress(response.body)
        assert body == STYLE
    # Nothing is compressed on the way.
    assert (
        "content-encoding" not in fetch(url, "/static/a.txt", {"accept-encoding": "gzip"}).headers
    )


NAMES = [
    ("/static/css/style.css", STYLE, "text/css"),
    ("/static/css/style.css?v=1", STYLE, "text/css"),
    ("/static/a%20b.txt", b"space", "text/plain"),
    ("/static/%C3%A9.txt", b"accent", "text/plain"),
    ("/static/%61.txt", TEXT, "text/plain"),
    ("/static/100%25.txt", b"percent", "text/plain"),
    ("/static/a+b.txt", b"plus", "text/plain"),
    ("/static/..a.txt", b"dots", "text/plain"),
    ("/static/no_extension", b"none", "application/octet-stream"),
    ("/static//a.txt", TEXT, "text/plain"),
    ("/static/./a.txt", TEXT, "text/plain"),
    ("/static/css//style.css", STYLE, "text/css"),
    ("/static/css%2fstyle.css", STYLE, "text/css"),
    ("/static/more/style.css", STYLE, "text/css"),
    ("/static/link.txt", TEXT, "text/plain"),
    ("/static/css-link/style.css", STYLE, "text/css"),
    ("/static/css/up.txt", TEXT, "text/plain"),
    ("http://a.example/static/a.txt", TEXT, "text/plain"),
]


@pytest.mark.parametrize(("target", "body", "kind"), NAMES)
def test_names(url: str, target: str, body: bytes, kind: str) -> None:
    response = fetch(url, target)
    assert (response.status, response.body) == (200, body)
    assert response.headers["content-type"] == kind


def test_a_name_with_a_hash_never_changes(url: str) -> None:
    response = fetch(url, "/static/base.1f418065fc2c.css")
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
    same = {"if-none-match": response.headers["etag"]}
    response = fetch(url, "/static/base.1f418065fc2c.css", same)
    assert response.headers["cache-control"] == "public, max-age=31536000, immutable"


# What is no file is the application's.
OTHERS = [
    "/",
    "/static",
    "/static/",
    "/static/css",
    "/static/css/",
    "/static/missing.txt",
    "/static/missing/a.txt",
    "/static/a.txt/",
    "/static/a.txt/b",
    "/static/A.TXT",
    "/static/more/../a.txt",
    "/static/" + "x" * 300,
    "/static/" + "x/" * 2000,
    "/static/a.txt%00",
    "/static/%00",
    "/static/%ff.txt",
    "/static/a.txt%20",
    "/staticx/a.txt",
    "/%73tatic/a.txt",
    "//static/a.txt",
    "/static/pipe",
    "/static/socket",
    "/static/dangling.txt",
    "/static/loop.txt",
    "/static/more/a.txt",
]


@pytest.mark.parametrize("target", OTHERS, ids=[target[:30] for target in OTHERS])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_is_no_file(url: str, target: str, method: str) -> None:
    response = fetch(url, target, method=method)
    assert response.status == 200
    if method == "GET":
        assert response.body.startswith(b"application GET /")
    assert "cache-control" not in response.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_other_methods_are_the_applications(url: str, method: str) -> None:
    response = fetch(url, "/static/a.txt", method=method)
    assert response.body == f"application {method} /static/a.txt".encode()


UP = [
    "..",
    "%2e%2e",
    ".%2e",
    "%2E%2e",
    "..%00",
    "...",
    "%252e%252e",
    "%c0%ae%c0%ae",
    "%u002e%u002e",
]
SEPARATORS = ["/", "%2f", "%2F", "%5c", "\\", "//", "%252f", "%c0%af"]
TRAVERSALS = [
    *(f"/static/{up}{separator}secret.txt" for up in UP for separator in SEPARATORS),
    *(f"/static/css/{up}/{up}/secret.txt" for up in UP),
    *(f"/static{separator}..{separator}secret.txt" for separator in SEPARATORS),
    "/static/css/../../secret.txt",
    "/static/./../secret.txt",
    "/static/a.txt/../../secret.txt",
    "/static/missing/../../secret.txt",
    "/static/../../../../../../../../etc/passwd",
    "/static//etc/passwd",
    "/static/%2fetc/passwd",
    "/static/%2Fetc%2Fpasswd",
    "/static///////etc/passwd",
    "/static/file:///etc/passwd",
    "/static/c:/secret.txt",
    "/static/~root/.profile",
    "/static/%7eroot",
    "/static/out.txt",
    "/static/out/secret.txt",
    "/static/out/files/out/secret.txt",
    "/static/etc/passwd",
    "/static/css-link/../../secret.txt",
    "/static/out%2fsecret.txt",
    "/static/absolute.txt",
    "/static/proc/self/environ",
    "/static/..;/secret.txt",
    "/static/%2e%2e;/secret.txt",
    "/static/..%3b/secret.txt",
    "/static/../secret.txt?a.txt",
    "/static/..%23/secret.txt",
    "/static/\u2024\u2024/secret.txt",
    "/static/%ef%bc%8e%ef%bc%8e/secret.txt",
    "http://a.example/static/../secret.txt",
    "/static/more/../../secret.txt",
    "/../secret.txt",
    "/static/../static/../secret.txt",
]


@pytest.mark.parametrize("target", TRAVERSALS)
def test_no_way_leads_out(url: str, target: str) -> None:
    response = fetch(url, target)
    assert_nothing_is_served(response)


def test_there_are_enough_ways() -> None:
    assert len(set(TRAVERSALS)) >= 100
    cases = len(RANGES) + len(CONDITIONS) + len(CODINGS) + len(NAMES) + len(OTHERS)
    assert cases >= 40


def assert_nothing_is_served(response: RawResponse) -> None:
    """Check that the application, or the server, responds in place of a file."""
    assert response.status in (200, 400), response.status_line
    assert SECRET not in response.rest
    assert b"root:" not in response.rest
    assert "etag" not in response.headers
    if response.status == 200:
        assert response.body.startswith(b"application ")


def test_no_way_leads_out_by_chance(url: str, root: Path) -> None:
    inside = {path.read_bytes() for path in root.rglob("*") if path.is_file()} - {SECRET}
    inside = {content for content in inside if b"root:" not in content}
    parts = ["/", "/", "..", ".", "%2e", "%2f", "out", "etc", "css", "a.txt", "secret.txt", "%00"]
    chance = random.Random(18)
    for _ in range(1500):
        target = "/static/" + "".join(chance.choices(parts, k=chance.randint(1, 8)))
        response = fetch(url, target)
        if "etag" in response.headers:
            assert response.body in inside, target
        else:
            assert_nothing_is_served(response)


def test_a_link_that_changes_meanwhile_leads_nowhere(url: str, root: Path) -> None:
    stop = threading.Event()

    def change() -> None:
        for name, to in (("in", "css/style.css"), ("ex", "../secret.txt")):
            (root / f"flip-{name}").symlink_to(to)
        while not stop.is_set():
            for name in ("in", "ex"):
                os.link(root / f"flip-{name}", root / "next", follow_symlinks=False)
                (root / "next").rename(root / "flip.css")

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(500):
            response = fetch(url, "/static/flip.css")
            assert response.body == STYLE or response.body.startswith(b"application ")
    finally:
        stop.set()
        changing.join()


def test_a_big_file_and_many_clients(url: str, client: Client) -> None:
    bodies: list[bytes] = []

    def get() -> None:
        for _ in range(5):
            bodies.append(fetch(url, "/static/big.bin").body)

    threads = [threading.Thread(target=get) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(body == BIG for body in bodies)
    assert len(bodies) == 40
    # One connection serves files and the application.
    for _ in range(3):
        assert client.get(f"{url}/static/big.bin").content == BIG
        assert client.get(f"{url}/x").text == "application GET /x"


def test_files_of_which_the_kernel_has_nothing_in_memory(url: str, root: Path) -> None:
    path = root / "cold.bin"
    path.write_bytes(BIG)
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        for _ in range(3):
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            assert fetch(url, "/static/cold.bin").body == BIG
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            part = fetch(url, "/static/cold.bin", {"range": "bytes=100000-200000"})
            assert part.body == BIG[100000:200001]
    finally:
        os.close(descriptor)


def test_a_deployment_may_replace_the_directory(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.txt").write_text(name)
    (tmp_path / "current").symlink_to("first")
    served = serve("app:application", "--static", "/=current", "--workers", "1", source=APPLICATION)
    assert fetch(served.url, "/a.txt").body == b"first"
    (tmp_path / "next").symlink_to("second")
    (tmp_path / "next").rename(tmp_path / "current")
    assert fetch(served.url, "/a.txt").body == b"second"
    assert fetch(served.url, "/b.txt").body == b"application GET /b.txt"


@pytest.mark.parametrize("workers", ["0", "1"])
def test_requests_may_end_at_a_missing_file(
    serve: Callable[..., Served], root: Path, tmp_path: Path, workers: str
) -> None:
    log = tmp_path / "access.log"
    served = serve(
        "app:application",
        *("--static", f"/static/={root}", "--static-not-found", "404", "--static-max-age", "1h"),
        *("--workers", workers, "--access-log", str(log), "--access-log-format", "json"),
        source=APPLICATION,
    )
    response = fetch(served.url, "/static/missing.txt", {"accept": "application/json"})
    assert response.status == 404
    assert json.loads(response.body)["status"] == 404
    assert fetch(served.url, "/static/css", method="HEAD").status == 404
    refused = fetch(served.url, "/static/a.txt", method="DELETE")
    assert (refused.status, refused.headers["allow"]) == (405, "GET,HEAD")
    assert fetch(served.url, "/static/a.txt").headers["cache-control"] == "public, max-age=3600"
    assert fetch(served.url, "/staticx").body == b"application GET /staticx"
    assert fetch(served.url, "/static/a.txt", {"range": "bytes=0-4"}).body == TEXT[:5]
    assert served.stop() == 0
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    found = [(line["method"], line["target"], line["status"], line["bytes"]) for line in lines]
    assert [line[:3] for line in found[:3]] == [
        ("GET", "/static/missing.txt", 404),
        ("HEAD", "/static/css", 404),
        ("DELETE", "/static/a.txt", 405),
    ]
    assert found[3:] == [
        ("GET", "/static/a.txt", 200, 100),
        ("GET", "/staticx", 200, len(b"application GET /staticx")),
        ("GET", "/static/a.txt", 206, 5),
    ]
    assert not any(line["aborted"] for line in lines)


def test_files_are_served_while_every_thread_is_busy(
    serve: Callable[..., Served], root: Path
) -> None:
    source = """
import threading

release = threading.Event()


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    print("waits", flush=True)
    release.wait(60)
    return [b"done"]
"""
    served = serve(
        "app:application",
        *("--static", f"/static={root}", "--workers", "1", "--thread-workers", "1"),
        *("--graceful-timeout", "1s"),
        source=source,
    )
    waiting = threading.Thread(target=lambda: fetch_anyhow(served.url, "/wait"))
    waiting.start()
    served.wait_for_log("waits")
    for _ in range(20):
        assert fetch(served.url, "/static/a.txt").body == TEXT
    served.stop()
    waiting.join()


def fetch_anyhow(url: str, target: str) -> None:
    """Send a request of which the response may be cut off."""
    try:
        fetch(url, target)
    except (OSError, IndexError, ValueError):
        return


def test_a_link_that_leads_out_is_named_once(serve: Callable[..., Served], root: Path) -> None:
    served = serve(
        "app:application", "--static", f"/static={root}", "--workers", "1", source=APPLICATION
    )
    for _ in range(3):
        assert_nothing_is_served(fetch(served.url, "/static/out.txt"))
    served.stop()
    assert served.log.count("a symbolic link leads out of the directory of static files") == 1


@pytest.mark.parametrize(
    ("option", "problem"),
    [
        ("static=files", "expected PATH=DIRECTORY, such as /static=static|is no path of a URL"),
        ("/static", "expected PATH=DIRECTORY, such as /static=static"),
        ("/static=", "expected PATH=DIRECTORY, such as /static=static"),
        ("/static=missing", "cannot use the directory missing: No such file or directory"),
        ("/static=app.py", "app.py is no directory"),
        ("/a/../b=.", "is no path of a URL; choose one such as"),
    ],
)
def test_a_directory_that_cannot_be_served_is_a_sentence_at_the_start(
    serve: Callable[..., Served], option: str, problem: str
) -> None:
    served = serve("app:application", "--static", option, source=APPLICATION, addresses=0)
    assert served.wait() != 0
    assert any(one in served.log for one in problem.split("|")), served.log
    assert "Traceback" not in served.log


def test_the_configuration_file_names_directories(
    serve: Callable[..., Served], root: Path, tmp_path: Path
) -> None:
    config = tmp_path / "server.toml"
    config.write_text(f'static = ["/a={root}", "/b={root}/css"]\nstatic_max_age = 0\n')
    served = serve("app:application", "--config", str(config), "--workers", "1", source=APPLICATION)
    response = fetch(served.url, "/a/a.txt")
    assert (response.body, response.headers["cache-control"]) == (TEXT, "public, max-age=0")
    assert fetch(served.url, "/b/style.css").body == STYLE


@pytest.fixture
def live(root: Path) -> Iterator[Any]:
    """The server of tests, with files."""
    from tower_wsgi.testing import LiveServer

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"application"]

    with LiveServer(application, static=[f"/static={root}"]) as server:
        yield server


def test_the_server_of_tests_serves_files(live: Any, client: Client) -> None:
    assert client.get(f"{live.url}/static/a.txt").content == TEXT
    assert client.get(f"{live.url}/").content == b"application"
