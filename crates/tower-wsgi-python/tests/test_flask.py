"""Flask runs unchanged: a server of its own for each test, and real clients."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import sys
import threading
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from bodies import FORM_WITH_FILE, MEBIBYTE, blocks, digest, form_with_file
from conftest import PATIENCE
from processes import most_memory, questions, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

SITES = Path(__file__).parent / "sites"
THREADS = pytest.mark.parametrize("threads", [4, 0])
"""On the pool, and on the event loop."""


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the files are that the application sends."""
    return tmp_path_factory.mktemp("files")


@pytest.fixture(scope="module")
def site(start_for_module: Callable[..., Served], files: Path) -> Callable[..., Served]:
    """Serve the application on two workers: ``site(threads, *options)``, once for all tests."""

    @cache
    def site(threads: int, *options: str, workers: int = 2) -> Served:
        command = [sys.executable, "-m", "tower_wsgi", "flask_site:app", "--bind", "127.0.0.1:0"]
        command += [
            "-w",
            str(workers),
            "--thread-workers",
            str(threads),
            "--pythonpath",
            str(SITES),
        ]
        # So that nothing is written where the sources are.
        env = {"FLASK_SITE_FILES": str(files), "PYTHONDONTWRITEBYTECODE": "1"}
        return start_for_module(*command, *options, env=env)

    return site


@THREADS
def test_a_session_goes_through_all_workers(site: Callable[..., Served], threads: int) -> None:
    server = site(threads)
    seen: set[int] = set()
    cookies: dict[str, str] = {}
    for number in range(1, 1001):
        # A connection of its own, for any worker to take.
        response = requests.post(f"{server.url}/visits", cookies=cookies, timeout=PATIENCE)
        cookies = response.cookies.get_dict()
        assert response.json()["visits"] == number
        seen.add(response.json()["worker"])
        if len(seen) == 2:
            break
    assert seen == set(workers(server))


@THREADS
def test_forms(site: Callable[..., Served], client: Client, threads: int) -> None:
    url = f"{site(threads).url}/form"
    response = client.post(f"{url}?where=a+b&where=ü", data={"name": "Zoë & co", "tag": ["a", "b"]})
    assert response.json()["form"] == {"name": ["Zoë & co"], "tag": ["a", "b"]}
    assert response.json()["args"] == {"where": "a b"}
    files = [("file", ("ä.bin", b"\0\r\n--\xff")), ("file", ("two", b"")), ("other", ("x", b"y"))]
    response = client.post(url, data={"name": "Zoë"}, files=files)
    assert response.json()["form"] == {"name": ["Zoë"]}
    assert response.json()["files"] == {
        "file": [["ä.bin", "\0\r\n--\xff"], ["two", ""]],
        "other": [["x", "y"]],
    }
    assert client.post(url).json()["form"] == {}
    # A form without its length.
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post(url, data=iter([b"name=in+", b"chunks"]), headers=headers)
    assert response.json()["form"] == {"name": ["in chunks"]}


def test_json(site: Callable[..., Served], client: Client) -> None:
    url = f"{site(4).url}/json"
    document = {"text": "ü\u2028", "numbers": [1, 2.5, None]}
    assert client.post(url, json=document).json() == document
    wrong = client.post(url, data=b"{", headers={"Content-Type": "application/json"})
    assert wrong.status_code == 400
    assert client.post(url, data=b"{}").status_code == 415


@THREADS
@pytest.mark.parametrize("form", [False, True])
def test_a_large_upload_arrives_whole_and_not_in_memory(
    site: Callable[..., Served], client: Client, threads: int, form: bool
) -> None:
    server = site(threads)
    url = f"{server.url}/upload"
    # What a worker needs for any upload, it has then.
    small = {"file": ("small", b"x" * MEBIBYTE)}
    for _ in range(20):
        assert requests.post(url, files=small, timeout=PATIENCE).json()["length"] == MEBIBYTE
    before = {worker: most_memory(worker) for worker in workers(server)}
    if form:
        body, headers = form_with_file(blocks(100)), FORM_WITH_FILE
    else:
        body, headers = blocks(100), {"Content-Type": "application/octet-stream"}
    response = client.post(url, data=body, headers=headers).json()
    assert response["length"] == 100 * MEBIBYTE
    assert response["sha256"] == digest(blocks(100))
    grown = most_memory(response["worker"]) - before[response["worker"]]
    assert grown < 20 * MEBIBYTE


def test_a_large_upload_with_its_length(
    site: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.writelines(blocks(100))
    server = site(4)
    with path.open("rb") as file:
        response = client.put(f"{server.url}/upload", data=file).json()
    assert response["sha256"] == digest(blocks(100))
    # Flask's own limit, and the server's.
    assert client.post(f"{server.url}/small", data=b"x" * 1000).text == "1000"
    assert client.post(f"{server.url}/small", data=b"x" * 1001).status_code == 413
    limited = site(4, "--max-body", "1000")
    assert client.post(f"{limited.url}/upload", data=b"x" * 1000).json()["length"] == 1000
    assert client.post(f"{limited.url}/upload", data=b"x" * 1001).status_code == 413


@THREADS
def test_each_chunk_is_with_the_client_before_the_next_is_made(
    site: Callable[..., Served], threads: int
) -> None:
    server = site(threads)
    with questions() as app:
        url = f"{server.url}/stream?chunks=5&ask={app.address}"
        with requests.get(url, stream=True, timeout=PATIENCE) as response:
            assert "Content-Length" not in response.headers
            lines = response.iter_lines(chunk_size=1)
            for number in range(5):
                assert next(lines) == b"chunk %d" % number
                assert app.reply() == f"made {number}"
            assert app.reply() == "closed"
            assert list(lines) == []


@THREADS
def test_a_client_that_leaves_ends_the_stream(site: Callable[..., Served], threads: int) -> None:
    server = site(threads)
    with questions() as app:
        url = f"{server.url}/stream?chunks=1000000&ask={app.address}"
        with requests.get(url, stream=True, timeout=PATIENCE) as response:
            assert next(response.iter_lines(chunk_size=1)) == b"chunk 0"
        asked = 0
        while app.reply() != "closed":
            asked += 1
        assert asked < 1_000_000


def test_a_slow_client_holds_no_thread(site: Callable[..., Served]) -> None:
    server = site(1, "--write-timeout", "600", workers=1)
    for query in ("mebibytes=64", "mebibytes=64&length"):
        url = f"{server.url}/large?{query}"
        with requests.get(url, stream=True, timeout=PATIENCE) as slow:
            # The only thread serves others, though little of this response is read.
            assert requests.get(server.url, timeout=PATIENCE).text == "an index"
            sha256, length = hashlib.sha256(), 0
            for piece in slow.iter_content(MEBIBYTE):
                sha256.update(piece)
                length += len(piece)
        assert length == 64 * MEBIBYTE
        made = (bytes([number]) * MEBIBYTE for number in range(64))
        assert sha256.hexdigest() == digest(made)


@THREADS
def test_send_file(site: Callable[..., Served], client: Client, files: Path, threads: int) -> None:
    content = b"".join(blocks(3))
    (files / "data.bin").write_bytes(content)
    os.utime(files / "data.bin", (10**9, 10**9))
    url = f"{site(threads).url}/file/data.bin"

    whole = client.get(url)
    assert whole.status_code == 200
    assert whole.content == content
    assert whole.headers["Content-Length"] == str(len(content))
    assert whole.headers["Content-Type"] == "application/octet-stream"
    assert whole.headers["Last-Modified"] == "Sun, 09 Sep 2001 01:46:40 GMT"
    assert "max-age=60" in whole.headers["Cache-Control"]
    attached = client.get(f"{url}?attachment")
    assert attached.headers["Content-Disposition"] == "attachment; filename=data.bin"

    head = client.head(url)
    assert head.status_code == 200
    assert head.headers["Content-Length"] == str(len(content))
    assert head.content == b""

    for name, value in [
        ("If-None-Match", whole.headers["ETag"]),
        ("If-Modified-Since", whole.headers["Last-Modified"]),
    ]:
        unchanged = client.get(url, headers={name: value})
        assert unchanged.status_code == 304
        assert unchanged.content == b""
        assert "Content-Length" not in unchanged.headers
        assert unchanged.headers["ETag"] == whole.headers["ETag"]
    assert client.get(url, headers={"If-None-Match": '"another"'}).content == content


@THREADS
@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=100-8299", 100, 8299),
        ("bytes=1048575-1048576", 1048575, 1048576),
        ("bytes=3145000-", 3145000, 3 * MEBIBYTE - 1),
        ("bytes=-1", 3 * MEBIBYTE - 1, 3 * MEBIBYTE - 1),
        ("bytes=0-9999999", 0, 3 * MEBIBYTE - 1),
    ],
)
def test_a_range_of_a_file(
    site: Callable[..., Served],
    client: Client,
    files: Path,
    threads: int,
    asked: str,
    first: int,
    last: int,
) -> None:
    content = b"".join(blocks(3))
    (files / "data.bin").write_bytes(content)
    url = f"{site(threads, workers=1).url}/file/data.bin"
    part = client.get(url, headers={"Range": asked})
    assert part.status_code == 206
    assert part.headers["Content-Range"] == f"bytes {first}-{last}/{len(content)}"
    assert part.headers["Content-Length"] == str(last + 1 - first)
    assert part.content == content[first : last + 1]
    head = client.head(url, headers={"Range": asked})
    assert head.content == b""


def test_a_range_that_is_none(site: Callable[..., Served], client: Client, files: Path) -> None:
    (files / "data.bin").write_bytes(b"0123456789")
    url = f"{site(4).url}/file/data.bin"
    beyond = client.get(url, headers={"Range": "bytes=10-"})
    assert beyond.status_code == 416
    assert beyond.headers["Content-Range"] == "bytes */10"
    changed = client.get(url, headers={"Range": "bytes=1-2", "If-Range": '"another"'})
    assert (changed.status_code, changed.content) == (200, b"0123456789")


def test_the_end_of_an_enormous_file_comes_at_once(
    site: Callable[..., Served], client: Client, files: Path
) -> None:
    # To read all that is before it takes longer than the client waits.
    path = files / "enormous"
    with path.open("wb") as file:
        file.truncate(1 << 40)
        file.seek(-3, io.SEEK_END)
        file.write(b"end")
    part = client.get(f"{site(4).url}/file/enormous", headers={"Range": "bytes=-5"})
    assert part.content == b"\0\0end"


@THREADS
def test_a_file_in_memory(site: Callable[..., Served], client: Client, threads: int) -> None:
    url = f"{site(threads).url}/memory"
    content = bytes(range(256)) * 100
    response = client.get(url)
    assert response.content == content
    assert "filename*=UTF-8''a%20%C3%BC.bin" in response.headers["Content-Disposition"]
    assert client.get(url, headers={"Range": "bytes=1-3"}).content == b"\1\2\3"
    assert client.get(url, headers={"If-None-Match": '"an-etag"'}).status_code == 304
    assert client.head(url).headers["Content-Length"] == str(len(content))


def test_redirects(site: Callable[..., Served], client: Client) -> None:
    url = site(4).url
    for code in (301, 302, 303, 307, 308):
        response = client.get(f"{url}/move?code={code}", allow_redirects=False)
        assert response.status_code == code
        assert response.headers["Location"] == "/form"


def test_cookies(site: Callable[..., Served]) -> None:
    server = site(4)
    host, port = server.url.removeprefix("http://").split(":")
    with closing(http.client.HTTPConnection(host, int(port), timeout=PATIENCE)) as connection:
        connection.putrequest("GET", "/cookies")
        # In two fields, as a proxy may pass them on from HTTP/2.
        connection.putheader("Cookie", 'a=1; b="x y"')
        connection.putheader("Cookie", "c=é")
        connection.endheaders()
        response = connection.getresponse()
        assert json.loads(response.read()) == {"a": "1", "b": "x y", "c": "é"}
    cookies = [value for name, value in response.getheaders() if name.lower() == "set-cookie"]
    assert cookies == [
        "one=1; HttpOnly; Path=/; SameSite=Lax",
        r'two="with \"quotes\"\054 and\073 more"; Path=/cookies',
        r'session-like="\303\274"; Path=/',
        "old=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/",
    ]


@THREADS
def test_error_pages(site: Callable[..., Served], client: Client, threads: int) -> None:
    server = site(threads)
    assert client.get(f"{server.url}/nothing").status_code == 404
    refused = client.post(f"{server.url}/")
    assert refused.status_code == 405
    assert set(re.split(", *", refused.headers["Allow"])) == {"GET", "HEAD", "OPTIONS"}
    for code in (400, 403, 410, 429, 503):
        response = client.get(f"{server.url}/abort/{code}")
        assert response.status_code == code
        assert response.headers["Content-Type"] == "text/html; charset=utf-8"
    failed = client.get(f"{server.url}/fails")
    assert failed.status_code == 500
    assert "Internal Server Error" in failed.text
    assert "nothing is here" not in failed.text
    assert client.get(server.url).text == "an index"


@THREADS
def test_a_stream_that_breaks_never_looks_whole(
    site: Callable[..., Served], client: Client, threads: int
) -> None:
    server = site(threads)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(f"{server.url}/breaks")
    assert client.get(server.url).text == "an index"


@THREADS
def test_what_fails_is_in_the_log_once(serve: Callable[..., Served], threads: int) -> None:
    options = ["-w", "1", "--thread-workers", str(threads), "--pythonpath", str(SITES)]
    server = serve("flask_site:app", *options, env={"PYTHONDONTWRITEBYTECODE": "1"})
    assert requests.get(f"{server.url}/fails", timeout=PATIENCE).status_code == 500
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.get(f"{server.url}/breaks", timeout=PATIENCE)
    assert server.stop() == 0
    assert server.log.count("Traceback (most recent call last)") == 2
    # This by Flask, the other by the server, which also says what was asked for.
    assert "ERROR in app: Exception on /fails [GET]" in server.log
    assert server.log.count("LookupError: nothing is here") == 1
    assert "LookupError: the other half is not here" in server.log


def test_where_the_application_is(site: Callable[..., Served], client: Client) -> None:
    url = site(4, "--forwarded-allow-ips", "192.0.2.9").url
    assert client.get(f"{url}/where?a=%2F").json() == {
        "url": f"{url}/where?a=/",
        "host": url.removeprefix("http://"),
        "secure": False,
        "path": "/where",
        "root": "",
        "itself": "/where",
        "outside": f"{url}/where",
        "client": "127.0.0.1",
    }
    # A client that is no trusted proxy is believed how it calls the server, and nothing else.
    headers = {
        "Host": "shop.example",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-For": "192.0.2.1",
        "X-Forwarded-Host": "evil.example",
    }
    response = client.get(f"{url}/where", headers=headers).json()
    assert response["outside"] == "http://shop.example/where"
    assert (response["secure"], response["client"]) == (False, "127.0.0.1")


def test_mounted_below_the_root(site: Callable[..., Served], client: Client) -> None:
    url = site(4, "--script-name", "/shop").url
    response = client.get(f"{url}/shop/where").json()
    assert (response["root"], response["path"]) == ("/shop", "/where")
    assert response["itself"] == "/shop/where"
    assert response["outside"] == f"{url}/shop/where"
    moved = client.get(f"{url}/shop/move?code=302", allow_redirects=False)
    assert moved.headers["Location"] == "/shop/form"
    assert client.get(f"{url}/shop").text == "an index"


@THREADS
def test_methods(site: Callable[..., Served], client: Client, threads: int) -> None:
    url = f"{site(threads).url}/methods"
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert client.request(method, url, data=b"a body").text == method
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    options = client.options(url)
    assert options.status_code == 200
    assert "PATCH" in options.headers["Allow"]


def test_four_threads_are_four_requests_at_once(site: Callable[..., Served]) -> None:
    server = site(4, workers=1)
    responses: list[Any] = []

    def meet(word: str) -> None:
        url = f"{server.url}/together/{word}?word={word}"
        responses.append(requests.get(url, timeout=PATIENCE).json())

    for _ in range(5):
        responses.clear()
        callers = [threading.Thread(target=meet, args=[word]) for word in "abcd"]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
        # Each thread has a context of its own.
        assert all(response["word"] == response["query"] for response in responses)
        assert sorted(response["word"] for response in responses) == list("abcd")
        assert len({response["thread"] for response in responses}) == 4


@pytest.mark.parametrize("kind", ["page", "empty", "stream"])
def test_the_client_does_not_wait_until_the_response_is_closed(
    site: Callable[..., Served], kind: str
) -> None:
    # Many do work then, by `call_on_close`. On the event loop there is no other thread to send it.
    server = site(4)
    with questions() as app:
        url = f"{server.url}/after?kind={kind}&ask={app.address}"
        page = requests.get(url, timeout=PATIENCE).text
        assert page == {"page": "a page", "empty": "", "stream": "a stream"}[kind]
        assert app.reply() == "closed"
        assert requests.head(url, timeout=PATIENCE).status_code == 200
        assert app.reply() == "closed"
