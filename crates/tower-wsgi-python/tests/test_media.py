"""`wsgi.MediaRouter`, `wsgi.FileRouter` and `wsgi.file_response`: files as responses."""

from __future__ import annotations

import errno
import gzip
import io
import os
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest
import requests
from conftest import PATIENCE, call

from tower_wsgi import _native, wsgi
from tower_wsgi.testing import LiveServer
from tower_wsgi.wsgi import media

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Response

DIGITS = b"0123456789"
# In the past, so that its second is over.
MODIFIED = 1_400_000_000


@pytest.fixture
def assets(tmp_path: Path) -> Path:
    """A directory with files."""
    root = tmp_path / "assets"
    (root / "docs").mkdir(parents=True)
    (root / "plain").mkdir()
    (root / "digits.txt").write_bytes(DIGITS)
    (root / "empty.txt").touch()
    (root / "docs" / "index.html").write_text("<p>the docs")
    (root / "plain" / ".hidden").touch()
    (root / "plain" / "b&c.txt").touch()
    (root / "plain" / "sub").mkdir()
    for file in root.rglob("*"):
        os.utime(file, (MODIFIED, MODIFIED))
    return root


def ask(router: wsgi.Router, path: str, method: str = "GET", **headers: str) -> Response:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    environ = wsgi.test_wsgi_environ(path, method, fields, {"wsgi.errors": io.StringIO()})
    return call(wsgi.WsgiHandler([router]), environ)


def test_a_file(assets: Path) -> None:
    response = ask(wsgi.MediaRouter("/media", assets), "/media/digits.txt")
    assert (response.code, response.body) == (200, DIGITS)
    headers = response.headers
    assert headers["content-type"] == "text/plain; charset=utf-8"
    assert headers["content-length"] == "10"
    assert headers["last-modified"] == formatdate(MODIFIED, usegmt=True)
    assert headers["cache-control"] == "public, max-age=86400"
    assert headers["accept-ranges"] == "bytes"
    assert headers["etag"].startswith('"')


def test_only_get_and_head(assets: Path) -> None:
    router = wsgi.MediaRouter("/media", assets)
    head = ask(router, "/media/digits.txt", "HEAD")
    assert (head.code, head.headers["content-length"], head.body) == (200, "10", b"")
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        refused = ask(router, "/media/digits.txt", method)
        assert (refused.code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
    assert ask(router, "/media/missing", "OPTIONS").headers["allow"] == "GET, HEAD, OPTIONS"


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.css", "text/css; charset=utf-8"),
        ("a.png", "image/png"),
        ("a.json", "application/json"),
        ("a.tar.gz", "application/gzip"),
        ("a.unknown", "application/octet-stream"),
        ("data:text,html.png", "image/png"),
        ("noending", "application/octet-stream"),
    ],
)
def test_content_types(assets: Path, name: str, content_type: str) -> None:
    (assets / name).touch()
    response = ask(wsgi.MediaRouter("/m", assets), f"/m/{name}")
    assert response.headers["content-type"] == content_type
    assert "content-encoding" not in response.headers


def test_a_modified_file_has_another_tag(assets: Path) -> None:
    router = wsgi.FileRouter("/d", assets / "digits.txt")
    first = ask(router, "/d").headers["etag"]
    os.utime(assets / "digits.txt", ns=(0, MODIFIED * 10**9 + 1))
    second = ask(router, "/d").headers["etag"]
    (assets / "digits.txt").write_bytes(DIGITS * 2)
    os.utime(assets / "digits.txt", ns=(0, MODIFIED * 10**9 + 1))
    third = ask(router, "/d").headers["etag"]
    assert len({first, second, third}) == 3


def dated(offset: int) -> str:
    return formatdate(MODIFIED + offset, usegmt=True)


CONDITIONS: list[tuple[dict[str, str], int]] = [
    ({"If-None-Match": "TAG"}, 304),
    ({"If-None-Match": "W/TAG"}, 304),
    ({"If-None-Match": '"other", TAG'}, 304),
    ({"If-None-Match": "*"}, 304),
    ({"If-None-Match": '"other"'}, 200),
    ({"If-Modified-Since": dated(0)}, 304),
    # pulsar compares the other way round.
    ({"If-Modified-Since": dated(100)}, 304),
    ({"If-Modified-Since": dated(-1)}, 200),
    ({"If-Modified-Since": "yesterday"}, 200),
    # The tag decides where both are there.
    ({"If-None-Match": '"other"', "If-Modified-Since": dated(0)}, 200),
    ({"If-Match": "TAG"}, 200),
    ({"If-Match": "*"}, 200),
    ({"If-Match": '"other"'}, 412),
    ({"If-Match": "W/TAG"}, 412),
    ({"If-Unmodified-Since": dated(0)}, 200),
    ({"If-Unmodified-Since": dated(-1)}, 412),
    ({"If-Match": "TAG", "If-Unmodified-Since": dated(-1)}, 200),
    ({"If-Match": '"other"', "If-None-Match": "TAG"}, 412),
    ({"If-None-Match": "TAG", "Range": "bytes=0-1"}, 304),
    ({"If-Match": '"other"', "Range": "bytes=0-1"}, 412),
]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(("headers", "code"), CONDITIONS)
def test_conditions(assets: Path, headers: dict[str, str], code: int, method: str) -> None:
    router = wsgi.FileRouter("/d", assets / "digits.txt")
    tag = ask(router, "/d").headers["etag"]
    fields = {name: value.replace("TAG", tag) for name, value in headers.items()}
    response = ask(router, "/d", method, **fields)
    assert response.code == code
    if code == 304:
        assert response.headers["etag"] == tag
        assert "last-modified" in response.headers
        assert "cache-control" in response.headers
        assert "content-type" not in response.headers
        assert "content-length" not in response.headers


RANGES: list[tuple[dict[str, str], int, bytes]] = [
    ({"Range": "bytes=0-3"}, 206, b"0123"),
    ({"Range": "bytes=3-3"}, 206, b"3"),
    ({"Range": "bytes=7-"}, 206, b"789"),
    ({"Range": "bytes=-2"}, 206, b"89"),
    ({"Range": "bytes=-200"}, 206, DIGITS),
    ({"Range": "bytes=5-999999999999999999999999"}, 206, b"56789"),
    ({"Range": "BYTES=0-0"}, 206, b"0"),
    ({"Range": "bytes=10-"}, 416, b""),
    ({"Range": "bytes=99999999999999999999-"}, 416, b""),
    ({"Range": "bytes=-0"}, 416, b""),
    ({"Range": "bytes=5-2"}, 200, DIGITS),
    ({"Range": "bytes=-"}, 200, DIGITS),
    ({"Range": "bytes=a-b"}, 200, DIGITS),
    ({"Range": "lines=0-1"}, 200, DIGITS),
    ({"Range": "bytes=" + "9" * 5000 + "-"}, 200, DIGITS),
    # Several at once are not worth it.
    ({"Range": "bytes=0-1,4-5"}, 200, DIGITS),
    ({"Range": "bytes=0-1", "If-Range": "TAG"}, 206, b"01"),
    ({"Range": "bytes=0-1", "If-Range": "W/TAG"}, 200, DIGITS),
    ({"Range": "bytes=0-1", "If-Range": '"other"'}, 200, DIGITS),
    ({"Range": "bytes=0-1", "If-Range": dated(0)}, 206, b"01"),
    ({"Range": "bytes=0-1", "If-Range": dated(1)}, 200, DIGITS),
    ({"Range": "bytes=0-1", "If-Range": "yesterday"}, 200, DIGITS),
    ({"Range": "bytes=10-", "If-Range": '"other"'}, 200, DIGITS),
]


@pytest.mark.parametrize(("headers", "code", "body"), RANGES)
def test_ranges(assets: Path, headers: dict[str, str], code: int, body: bytes) -> None:
    router = wsgi.FileRouter("/d", assets / "digits.txt")
    tag = ask(router, "/d").headers["etag"]
    fields = {name: value.replace("TAG", tag) for name, value in headers.items()}
    response = ask(router, "/d", **fields)
    assert response.code == code
    if code == 416:
        assert response.headers["content-range"] == "bytes */10"
        return
    assert response.body == body
    assert response.headers["content-length"] == str(len(body))
    if code == 206:
        start = DIGITS.index(body)
        expected = f"bytes {start}-{start + len(body) - 1}/10"
        assert response.headers["content-range"] == expected
    # Ranges are for GET only (RFC 9110, section 14.2).
    assert ask(router, "/d", "HEAD", **fields).code == 200


def test_a_file_of_this_second_has_no_strong_date(assets: Path) -> None:
    os.utime(assets / "digits.txt", (time.time() + 3600,) * 2)
    router = wsgi.FileRouter("/d", assets / "digits.txt")
    modified = ask(router, "/d").headers["last-modified"]
    response = ask(router, "/d", Range="bytes=0-1", If_Range=modified)
    assert response.code == 200


def test_an_empty_file(assets: Path) -> None:
    router = wsgi.FileRouter("/e", assets / "empty.txt")
    assert ask(router, "/e").headers["content-length"] == "0"
    assert ask(router, "/e", Range="bytes=0-").code == 416
    assert ask(router, "/e", Range="bytes=-5").code == 416


def test_directories(assets: Path) -> None:
    router = wsgi.MediaRouter("/media", assets)
    redirected = ask(router, "/media/docs?a=1")
    assert (redirected.code, redirected.headers["location"]) == (302, "/media/docs/?a=1")
    assert ask(router, "/media/docs/").body == b"<p>the docs"
    assert ask(router, "/media/plain/").code == 404
    assert ask(router, "/media/plain").code == 404
    assert ask(router, "/media/").code == 404
    assert ask(router, "/media").headers["location"] == "/media/"
    assert ask(router, "/media/digits.txt/").code == 404
    (assets / "index.html").write_text("<p>top")
    assert ask(router, "/media/").body == b"<p>top"
    without = wsgi.MediaRouter("/media", assets, default_file=None)
    assert ask(without, "/media/docs/").code == 404


def test_the_name_of_a_link_has_the_content_type(assets: Path) -> None:
    (assets / "docs" / "page.txt").write_text("<p>linked")
    (assets / "docs" / "index.html").unlink()
    (assets / "docs" / "index.html").symlink_to("page.txt")
    (assets / "404.html").symlink_to("docs/page.txt")
    router = wsgi.MediaRouter("/media", assets)
    for path in ("/media/docs/", "/media/docs/index.html", "/media/missing"):
        response = ask(router, path)
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert response.body == b"<p>linked"


def test_a_list_of_files(assets: Path) -> None:
    (assets / "plain" / "javascript:alert(1)").touch()
    router = wsgi.MediaRouter("/media", assets, show_indexes=True)
    assert ask(router, "/media/plain").headers["location"] == "/media/plain/"
    response = ask(router, "/media/plain/")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    page = response.body.decode()
    assert "Index of /media/plain/" in page
    assert '<a href="sub/">sub/</a>' in page
    assert '<a href="b%26c.txt">b&amp;c.txt</a>' in page
    assert page.index("sub/") < page.index("b%26c")
    assert ".hidden" not in page
    # A name is no scheme.
    assert 'href="javascript%3Aalert%281%29"' in page


def test_a_directory_that_cannot_be_read(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    router = wsgi.MediaRouter("/media", assets, show_indexes=True)
    monkeypatch.setattr(media, "open_within", refuse)
    assert ask(router, "/media/plain/").code == 404


def test_a_suffix_that_is_left_out(assets: Path) -> None:
    router = wsgi.MediaRouter("/media", assets, default_suffix="txt")
    assert ask(router, "/media/digits").body == DIGITS
    assert ask(router, "/media/digits.txt").body == DIGITS
    assert ask(router, "/media/other").code == 404


def test_only_some_files_are_served(assets: Path) -> None:
    (assets / "a.css").write_text("css")
    (assets / "dir.css").mkdir()
    router = wsgi.MediaRouter("/media", assets, serve_only=["css", ".js"], show_indexes=True)
    rest = wsgi.Router("/media/<path:path>", get=lambda request: "passed on")
    chain = wsgi.WsgiHandler([router, rest])

    def ask_chain(path: str) -> Response:
        return call(chain, wsgi.test_wsgi_environ(path))

    assert ask_chain("/media/a.css").body == b"css"
    assert ask_chain("/media/digits.txt").body == b"passed on"
    assert ask_chain("/media/docs/").body == b"passed on"
    assert ask_chain("/media/missing.js").code == 404
    assert ask_chain("/media/dir.css/").body == b"passed on"
    assert ask_chain("/media/dir.css").code == 404


def test_a_page_for_missing_files(assets: Path) -> None:
    (assets / "404.html").write_text("<p>missing")
    router = wsgi.MediaRouter("/media", assets)
    response = ask(router, "/media/missing", Range="bytes=0-1")
    assert (response.code, response.body) == (404, b"<p>missing")
    assert "etag" not in response.headers
    assert "cache-control" not in response.headers


@pytest.mark.parametrize("rule", ["", "/", "/media", "media/", "/<lang>/media"])
def test_the_place_of_the_files(assets: Path, rule: str) -> None:
    router = wsgi.MediaRouter(rule, assets, show_indexes=True)
    top = "/" + rule.strip("/").replace("<lang>", "de")
    top = top.rstrip("/")
    assert ask(router, f"{top}/digits.txt").body == DIGITS
    assert b"digits.txt" in ask(router, f"{top}/").body
    child = wsgi.Router("/site", wsgi.MediaRouter(rule, assets, show_indexes=True))
    assert ask(child, f"/site{top}/digits.txt").body == DIGITS
    assert b"digits.txt" in ask(child, f"/site{top}/").body


def test_a_class_of_its_own_serves_files(assets: Path) -> None:
    class Download(wsgi.MediaMixin, wsgi.Router):
        cache_control = None
        directory = assets

        def get(self, request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
            return self.serve_file(request, assets / request.urlargs["name"])

    router = Download("/<path:name>")
    response = ask(router, "/docs/index.html")
    assert response.body == b"<p>the docs"
    assert "cache-control" not in response.headers
    (assets / "out").symlink_to("/etc/passwd")
    assert ask(router, "/out").code == 404
    assert ask(router, "/docs/../../../../../etc/passwd").code == 404


def test_one_file(assets: Path) -> None:
    router = wsgi.FileRouter("/robots", assets / "digits.txt", status_code=410)
    assert (ask(router, "/robots").code, ask(router, "/robots").body) == (410, DIGITS)
    assert ask(wsgi.FileRouter("/x", assets / "missing"), "/x").code == 404
    assert ask(wsgi.FileRouter("/x", assets / "docs"), "/x").code == 404


def test_a_handler_responds_with_a_file(assets: Path) -> None:
    def get(request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
        request.response.headers["X-Own"] = "kept"
        return wsgi.file_response(
            request, assets / "digits.txt", block=4, encoding="latin-1", cache_control="no-store"
        )

    response = ask(wsgi.Router("/", get=get), "/")
    assert response.chunks == [b"0123", b"4567", b"89"]
    assert response.headers["content-type"] == "text/plain; charset=latin-1"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["x-own"] == "kept"


def test_the_wrapper_of_the_server_gets_the_file(assets: Path) -> None:
    wrapped: list[Any] = []

    class Wrapper(FileWrapper):
        def __init__(self, file: Any, block: int = 8192) -> None:
            super().__init__(file, block)
            wrapped.append(self)

    router = wsgi.FileRouter("/d", assets / "digits.txt")
    environ = wsgi.test_wsgi_environ("/d", extra={"wsgi.file_wrapper": Wrapper})
    response = router(environ)
    assert isinstance(response, wsgi.WsgiResponse)
    assert response.content is wrapped[0]
    response.close()
    assert wrapped[0].filelike.closed
    environ = wsgi.test_wsgi_environ("/d", extra={"wsgi.file_wrapper": _native.FileWrapper})
    response = router(environ)
    assert isinstance(response, wsgi.WsgiResponse)
    # The server sends a file of this kind without calling Python.
    assert isinstance(response.content, _native.FileWrapper)
    assert type(response.content.filelike) is io.BufferedReader  # type: ignore[attr-defined]
    response.close()


def test_no_descriptor_stays_open(assets: Path) -> None:
    router = wsgi.MediaRouter("/media", assets, show_indexes=True)
    os.mkfifo(assets / "fifo")
    for _ in range(2):
        before = len(list(Path("/proc/self/fd").iterdir()))
        for path in ("digits.txt", "missing", "docs", "docs/", "plain/", "fifo", "digits.txt/"):
            for headers in (
                {},
                {"If-None-Match": "*"},
                {"If-Match": '"x"'},
                {"Range": "bytes=99-"},
            ):
                for method in ("GET", "HEAD"):
                    ask(router, f"/media/{path}", method, **headers)
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_fault_of_the_server_is_no_404(assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*args: object, **kwargs: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    router = wsgi.MediaRouter("/media", assets)
    monkeypatch.setattr(os, "open", full)
    assert ask(router, "/media/digits.txt").code == 500


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, bytes]]:
    """A server of a large file."""
    root = tmp_path_factory.mktemp("served")
    content = os.urandom(1 << 20) * 3
    (root / "large.bin").write_bytes(content)
    (root / "text.txt").write_bytes(b"text " * 1000)
    os.utime(root / "large.bin", (MODIFIED, MODIFIED))
    chain = wsgi.WsgiHandler([wsgi.MediaRouter("/media", root)], [wsgi.GZipMiddleware()])
    with LiveServer(chain) as server:
        yield f"{server.url}/media", content


def test_over_a_socket(served: tuple[str, bytes]) -> None:
    url, content = served
    with requests.Session() as client:
        whole = client.get(f"{url}/large.bin", headers={"Accept-Encoding": "identity"})
        assert whole.content == content
        head = client.head(f"{url}/large.bin", headers={"Accept-Encoding": "identity"})
        assert head.headers["Content-Length"] == str(len(content))
        part = client.get(f"{url}/large.bin", headers={"Range": "bytes=1000-2000000"})
        assert (part.status_code, part.content) == (206, content[1000:2000001])
        last = client.get(f"{url}/large.bin", headers={"Range": "bytes=-7"})
        assert last.content == content[-7:]
        same = client.get(f"{url}/large.bin", headers={"If-None-Match": whole.headers["ETag"]})
        assert (same.status_code, same.content) == (304, b"")
        past = client.get(f"{url}/large.bin", headers={"Range": f"bytes={len(content)}-"})
        assert past.headers["Content-Range"] == f"bytes */{len(content)}"
        again = client.get(f"{url}/large.bin", headers={"Accept-Encoding": "identity"})
        assert again.content == content


def test_a_compressed_file_has_a_weak_tag(served: tuple[str, bytes]) -> None:
    url, _ = served
    response = requests.get(
        f"{url}/text.txt", headers={"Accept-Encoding": "gzip"}, timeout=PATIENCE, stream=True
    )
    assert gzip.decompress(response.raw.read()) == b"text " * 1000
    assert response.headers["ETag"].startswith("W/")
    assert "Accept-Ranges" not in response.headers
    tag = {"If-None-Match": response.headers["ETag"], "Accept-Encoding": "gzip"}
    assert requests.get(f"{url}/text.txt", headers=tag, timeout=PATIENCE).status_code == 304
