"""Django runs unchanged: real servers, and real clients."""

from __future__ import annotations

import hashlib
import re
import subprocess
import sys
import threading
from collections import Counter
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from bodies import FORM_WITH_FILE, MEBIBYTE, blocks, digest, form_with_file
from conftest import PATIENCE
from processes import most_memory, questions, wait_until, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

SITES = Path(__file__).parent / "sites"
THREADS = pytest.mark.parametrize("threads", [4, 0])
"""On the pool, and on the event loop."""


@pytest.fixture(scope="module")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with a database that is ready."""
    directory = tmp_path_factory.mktemp("migrated")
    command = [sys.executable, "-B", SITES / "django_site.py"]
    environment = {"DJANGO_SITE_DATA": str(directory)}
    subprocess.run(command, env=environment, check=True, timeout=PATIENCE)
    return directory


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory, migrated: Path) -> Path:
    """The directory of the servers that all tests use."""
    return copy_of(migrated, tmp_path_factory.mktemp("data"))


def copy_of(migrated: Path, directory: Path) -> Path:
    (directory / "database.sqlite3").write_bytes((migrated / "database.sqlite3").read_bytes())
    return directory


def command(threads: int, workers: int) -> list[str]:
    command = [sys.executable, "-m", "tower_wsgi", "django_site", "--bind", "127.0.0.1:0"]
    command += ["-w", str(workers), "--thread-workers", str(threads)]
    return [*command, "--pythonpath", str(SITES)]


def environment(data: Path, **more: str) -> dict[str, str]:
    # So that nothing is written where the sources are.
    return {"DJANGO_SITE_DATA": str(data), "PYTHONDONTWRITEBYTECODE": "1", **more}


@pytest.fixture(scope="module")
def site(start_for_module: Callable[..., Served], data: Path) -> Callable[..., Served]:
    """Serve the project: ``site(threads, *options)``, once for all tests."""

    @cache
    def site(threads: int, *options: str, workers: int = 2) -> Served:
        return start_for_module(*command(threads, workers), *options, env=environment(data))

    return site


@pytest.fixture
def own_site(start: Callable[..., Served], migrated: Path, tmp_path: Path) -> Callable[..., Served]:
    """Serve the project for this test only, with a database and notes of its own."""
    copy_of(migrated, tmp_path)

    def own_site(threads: int, workers: int = 1, **more: str) -> Served:
        return start(*command(threads, workers), env=environment(tmp_path, **more))

    return own_site


@THREADS
def test_a_session_in_the_database_goes_through_all_workers(
    site: Callable[..., Served], threads: int
) -> None:
    server = site(threads)
    seen: set[int] = set()
    cookies: dict[str, str] = {}
    for number in range(1, 1001):
        # A connection of its own, for any worker to take.
        response = requests.get(f"{server.url}/visits/", cookies=cookies, timeout=PATIENCE)
        cookies |= response.cookies.get_dict()
        assert response.json()["visits"] == number
        seen.add(response.json()["worker"])
        if len(seen) == 2:
            break
    assert seen == set(workers(server))


@THREADS
def test_a_form_needs_its_token(site: Callable[..., Served], client: Client, threads: int) -> None:
    url = f"{site(threads).url}/form/"
    assert client.post(url, data={"name": "Zoë"}).status_code == 403
    token = {"csrfmiddlewaretoken": client.get(url).text}
    response = client.post(f"{url}?a=%2F", data={"name": "Zoë & co", "tag": ["a", "b"], **token})
    assert response.json()["form"] == {
        "name": ["Zoë & co"],
        "tag": ["a", "b"],
        "csrfmiddlewaretoken": [token["csrfmiddlewaretoken"]],
    }
    assert response.json()["args"] == {"a": "/"}
    files = [("file", ("ä.bin", b"\0\r\n--\xff")), ("file", ("two", b"2"))]
    response = client.post(url, data=token, files=files)
    assert response.json()["files"] == {"file": [["ä.bin", "\0\r\n--\xff"], ["two", "2"]]}
    # Over HTTPS, as a proxy says, Django also looks at where the form comes from.
    headers = {"X-Forwarded-Proto": "https", "Host": "library.example"}
    assert client.post(url, data=token, headers=headers).status_code == 403
    headers["Referer"] = "https://library.example/form/"
    cookies = {"Cookie": f"csrftoken={client.cookies['csrftoken']}"}
    assert client.post(url, data=token, headers=headers | cookies).status_code == 200


@THREADS
def test_a_body_without_its_length(
    site: Callable[..., Served], client: Client, threads: int
) -> None:
    # Django reads CONTENT_LENGTH bytes: the server has the whole body, and sets it.
    response = client.post(f"{site(threads).url}/body/", data=iter([b"in ", b"chunks"]))
    assert response.content == b"in chunks"
    assert client.post(f"{site(threads).url}/body/").content == b""


@THREADS
@pytest.mark.parametrize("form", [False, True])
def test_a_large_upload_arrives_whole_and_not_in_memory(
    site: Callable[..., Served], client: Client, threads: int, form: bool
) -> None:
    server = site(threads)
    url = f"{server.url}/upload/"
    # What a worker needs for any upload, it has then.
    small = {"file": ("small", b"x" * 4 * MEBIBYTE)}
    for _ in range(20):
        response = requests.post(url, files=small, timeout=PATIENCE).json()
        assert response["length"] == 4 * MEBIBYTE
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


@THREADS
def test_each_chunk_is_with_the_client_before_the_next_is_made(
    site: Callable[..., Served], threads: int
) -> None:
    server = site(threads)
    with questions() as app:
        url = f"{server.url}/stream/?chunks=5&ask={app.address}"
        with requests.get(url, stream=True, timeout=PATIENCE) as response:
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
        url = f"{server.url}/stream/?chunks=1000000&ask={app.address}"
        with requests.get(url, stream=True, timeout=PATIENCE) as response:
            assert next(response.iter_lines(chunk_size=1)) == b"chunk 0"
        asked = 0
        while app.reply() != "closed":
            asked += 1
        assert asked < 1_000_000


def test_a_slow_client_holds_no_thread(site: Callable[..., Served]) -> None:
    server = site(1, "--write-timeout", "600", workers=1)
    url = f"{server.url}/large/?mebibytes=64"
    with requests.get(url, stream=True, timeout=PATIENCE) as slow:
        # The only thread serves others, though little of this response is read.
        assert requests.get(server.url, timeout=PATIENCE).text == "an index"
        sha256 = hashlib.sha256()
        for piece in slow.iter_content(MEBIBYTE):
            sha256.update(piece)
    assert sha256.hexdigest() == digest(bytes([number]) * MEBIBYTE for number in range(64))


@THREADS
def test_a_file(site: Callable[..., Served], client: Client, data: Path, threads: int) -> None:
    content = b"".join(blocks(3))
    (data / "data.bin").write_bytes(content)
    url = f"{site(threads).url}/file/data.bin"
    whole = client.get(url)
    assert whole.content == content
    assert whole.headers["Content-Length"] == str(len(content))
    assert whole.headers["Content-Disposition"] == 'inline; filename="data.bin"'
    attached = client.get(f"{url}?attachment")
    assert attached.headers["Content-Disposition"] == 'attachment; filename="data.bin"'
    head = client.head(url)
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["Content-Length"] == str(len(content))
    memory = client.get(f"{site(threads).url}/memory/")
    assert memory.content == bytes(range(256)) * 100
    assert "filename*=utf-8''a%20%C3%BC.bin" in memory.headers["Content-Disposition"]


@THREADS
def test_conditions(site: Callable[..., Served], client: Client, data: Path, threads: int) -> None:
    (data / "page.txt").write_text("a page")
    url = site(threads).url
    # By the middleware, and by the view of static files.
    for address, header, condition in [
        (f"{url}/", "ETag", "If-None-Match"),
        (f"{url}/static/page.txt", "Last-Modified", "If-Modified-Since"),
    ]:
        whole = client.get(address)
        unchanged = client.get(address, headers={condition: whole.headers[header]})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert client.get(address).content == whole.content
    for outside in ("../database.sqlite3", "%2e%2e/database.sqlite3", "/etc/passwd"):
        assert client.get(f"{url}/static/{outside}").status_code in (400, 404)


@THREADS
def test_redirects_and_cookies(site: Callable[..., Served], client: Client, threads: int) -> None:
    url = site(threads).url
    moved = client.get(f"{url}/move/", allow_redirects=False)
    assert (moved.status_code, moved.headers["Location"]) == (302, "/form/")
    slash = client.get(f"{url}/cookies?a=%2F", allow_redirects=False)
    assert (slash.status_code, slash.headers["Location"]) == (301, "/cookies/?a=%2F")
    response = client.get(f"{url}/cookies/", headers={"Cookie": 'a=1; b="x y"; c=%C3%A9'})
    assert response.json() == {"a": "1", "b": "x y", "c": "%C3%A9"}
    assert response.raw.headers.getlist("Set-Cookie") == [
        "one=1; HttpOnly; Path=/; SameSite=Lax",
        r'two="with \"quotes\"\054 and\073 more"; Path=/cookies',
        'old=""; expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/',
    ]


@THREADS
def test_error_pages(own_site: Callable[..., Served], client: Client, threads: int) -> None:
    server = own_site(threads)
    assert client.get(f"{server.url}/nothing/").status_code == 404
    assert client.get(server.url, headers={"Host": "evil.example"}).status_code == 400
    failed = client.get(f"{server.url}/fails/")
    assert failed.status_code == 500
    assert "Server Error (500)" in failed.text
    assert "nothing is here" not in failed.text
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        client.get(f"{server.url}/breaks/")
    assert client.get(server.url).text == "an index"
    assert server.stop() == 0
    # The first is Django's to tell, which sends it to the administrators.
    assert "LookupError: the other half is not here" in server.log
    assert server.log.count("Traceback (most recent call last)") == 1


def test_error_pages_for_developers(own_site: Callable[..., Served], client: Client) -> None:
    server = own_site(4, DJANGO_SITE_DEBUG="1")
    failed = client.get(f"{server.url}/fails/")
    assert failed.status_code == 500
    assert "LookupError at /fails/" in failed.text
    assert "wsgi.file_wrapper" in failed.text
    plain = client.get(f"{server.url}/fails/", headers={"Accept": "text/plain"})
    assert "Traceback (most recent call last)" in plain.text
    lost = client.get(f"{server.url}/nothing/")
    assert lost.status_code == 404
    assert "match any of these" in lost.text
    server.wait_for_log("LookupError: nothing is here")


def test_where_the_application_is(site: Callable[..., Served], client: Client) -> None:
    url = site(4).url
    host, port = url.removeprefix("http://").split(":")
    assert client.get(f"{url}/where/?a=%2F").json() == {
        "url": f"{url}/where/?a=%2F",
        "host": f"{host}:{port}",
        "port": port,
        "secure": False,
        "path": "/where/",
        "path_info": "/where/",
        "itself": "/where/",
        "client": "127.0.0.1",
    }
    headers = {"Host": "library.example", "X-Forwarded-Host": "evil.example"}
    response = client.get(f"{url}/where/", headers=headers).json()
    assert (response["host"], response["secure"]) == ("library.example", False)
    # The project trusts this one, by SECURE_PROXY_SSL_HEADER.
    headers["X-Forwarded-Proto"] = "https"
    response = client.get(f"{url}/where/", headers=headers).json()
    assert (response["url"], response["secure"]) == ("https://library.example/where/", True)
    # It is not the same with an underscore, which could come round a proxy.
    headers = {"Host": "library.example", "X_Forwarded_Proto": "https"}
    assert client.get(f"{url}/where/", headers=headers).json()["secure"] is False


def test_mounted_below_the_root(site: Callable[..., Served], client: Client) -> None:
    url = site(4, "--script-name", "/library").url
    response = client.get(f"{url}/library/where/").json()
    assert response["path"] == response["itself"] == "/library/where/"
    assert response["path_info"] == "/where/"
    assert response["url"] == f"{url}/library/where/"
    moved = client.get(f"{url}/library/move/", allow_redirects=False)
    assert moved.headers["Location"] == "/library/form/"
    slash = client.get(f"{url}/library/where", allow_redirects=False)
    assert slash.headers["Location"] == "/library/where/"
    assert client.get(f"{url}/library").text == "an index"


def connections(directory: Path) -> Counter[str]:
    """How many connections to the database were opened and closed."""
    notes = (directory / "connections").read_text().splitlines()
    return Counter(line.split()[0] for line in notes)


def test_each_thread_keeps_its_connection_to_the_database(
    own_site: Callable[..., Served], tmp_path: Path
) -> None:
    server = own_site(4, DJANGO_SITE_CONN_MAX_AGE="600")
    responses: list[dict[str, int]] = []

    def meet() -> None:
        responses.append(requests.get(f"{server.url}/meet/", timeout=PATIENCE).json())

    for _ in range(5):
        callers = [threading.Thread(target=meet) for _ in range(4)]
        for caller in callers:
            caller.start()
        for caller in callers:
            caller.join(PATIENCE)
    assert len(responses) == 20
    # Four threads, each with a connection of its own that it has kept.
    assert len({response["thread"] for response in responses}) == 4
    assert len({(response["thread"], response["connection"]) for response in responses}) == 4
    assert connections(tmp_path) == {"open": 4}
    # At the end of a worker its threads forget what they have kept.
    assert server.stop() == 0
    assert connections(tmp_path) == {"open": 4, "closed": 4}
    assert "Warning" not in server.log


@THREADS
def test_a_connection_to_the_database_is_closed_after_the_request(
    own_site: Callable[..., Served], client: Client, tmp_path: Path, threads: int
) -> None:
    server = own_site(threads)
    for _ in range(10):
        client.get(f"{server.url}/database/").raise_for_status()
    assert server.stop() == 0
    assert connections(tmp_path) == {"open": 10, "closed": 10}


@THREADS
def test_a_request_is_finished_once_and_by_its_own_thread(
    own_site: Callable[..., Served], tmp_path: Path, threads: int
) -> None:
    server = own_site(threads, workers=2)
    (tmp_path / "small").write_bytes(b"abc")
    kinds = ["page", "file", "stream", "fails", "moves", "endless"]
    for kind in kinds:
        url = f"{server.url}/finished/?kind={kind}"
        # A client that does not take all of a response, too.
        with requests.get(url, stream=True, timeout=PATIENCE, allow_redirects=False) as response:
            response.raw.read(1)
        requests.head(url, timeout=PATIENCE)

    def finished() -> Counter[str]:
        return Counter(line.split()[0] for line in (tmp_path / "requests").read_text().splitlines())

    wait_until(lambda: finished()["finished"] == 2 * len(kinds))
    assert server.stop() == 0
    assert finished() == {"started": 2 * len(kinds), "finished": 2 * len(kinds)}
    running: set[str] = set()
    for line in (tmp_path / "requests").read_text().splitlines():
        what, thread = line.split(maxsplit=1)
        if what == "started":
            assert thread not in running
            running.add(thread)
        else:
            running.remove(thread)
    assert running == set()


@pytest.mark.parametrize("mount", ["", "/library"])
def test_static_files_of_a_project_in_development(
    start: Callable[..., Served], client: Client, tmp_path: Path, mount: str
) -> None:
    manage = Path(__file__).parents[3] / "examples" / "python" / "django_site" / "manage.py"
    env = {"LIBRARY_DATA": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["pulse", "--bind", "127.0.0.1:0", "-w", "2", "--script-name", mount]
    server = start(sys.executable, manage, *options, env=env)
    page = client.get(f"{server.url}{mount}/admin/", timeout=PATIENCE)
    assert page.url == f"{server.url}{mount}/admin/login/?next={mount}/admin/"
    sheets = re.findall(r'<link rel="stylesheet" href="([^"]+)"', page.text)
    assert len(sheets) > 2
    for sheet in sheets:
        url = server.url + sheet
        whole = client.get(url)
        assert whole.headers["Content-Type"] == "text/css"
        assert whole.headers["Content-Length"] == str(len(whole.content))
        head = client.head(url)
        assert (head.status_code, head.content) == (200, b"")
        unchanged = client.get(url, headers={"If-Modified-Since": whole.headers["Last-Modified"]})
        assert unchanged.status_code == 304
    for missing in ("nothing.css", "../library.sqlite3", "/etc/passwd"):
        assert client.get(f"{server.url}/static/{missing}").status_code == 404
    # Django's handler lets its `SuspiciousFileOperation` through, under `runserver` as well.
    assert client.get(f"{server.url}/static/..%2Flibrary.sqlite3").status_code == 500
