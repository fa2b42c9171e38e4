"""`wsgi.MediaRouter`: no path gets a client a file that is not in the directory."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE

from tower_wsgi import wsgi
from tower_wsgi.testing import LiveServer
from tower_wsgi.wsgi import beneath

if TYPE_CHECKING:
    from collections.abc import Iterator

SECRET = b"the secret"
PUBLIC = b"public"


def make(directory: Path) -> Path:
    """Make a directory to serve, next to what must not be served, and links out of it."""
    root = directory / "root"
    (root / "sub").mkdir(parents=True)
    (root / "a.txt").write_bytes(PUBLIC)
    (root / "sub" / "b.txt").write_bytes(PUBLIC)
    (root / "..hidden").write_bytes(PUBLIC)
    outside = directory / "outside"
    outside.mkdir()
    for file in (directory / "secret.txt", outside / "secret.txt", outside / "index.html"):
        file.write_bytes(SECRET)
    # The name of the directory is a prefix of this one.
    (directory / "root-2").mkdir()
    (directory / "root-2" / "secret.txt").write_bytes(SECRET)
    (root / "file-link").symlink_to(directory / "secret.txt")
    (root / "relative-link").symlink_to("../secret.txt")
    (root / "chained-link").symlink_to("relative-link")
    (root / "directory-link").symlink_to(outside)
    (root / "up-link").symlink_to("..")
    (root / "prefix-link").symlink_to("../root-2")
    (root / "root-link").symlink_to("/")
    (root / "proc-link").symlink_to("/proc/self/cwd")
    (root / "loop").symlink_to("loop")
    (root / "sub" / "back").symlink_to("../../secret.txt")
    (root / "sub" / "inside").symlink_to("../a.txt")
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory around the one that is served."""
    return make(tmp_path_factory.mktemp("traversal")).parent


@pytest.fixture(scope="module")
def address(directory: Path) -> Iterator[tuple[str, int]]:
    """The address of a server, which is as generous as the options of the router are."""
    router = wsgi.MediaRouter("/media", directory / "root", show_indexes=True, default_suffix="txt")
    with LiveServer(wsgi.WsgiHandler([router])) as server:
        url = urlsplit(server.url)
        assert url.hostname is not None
        assert url.port is not None
        yield url.hostname, url.port


# What follows `/media/`. `{here}` is the directory around the one that is served.
ATTEMPTS = [
    # Dots.
    "../secret.txt",
    "../../etc/passwd",
    "../" * 40 + "etc/passwd",
    "./../secret.txt",
    "sub/../../secret.txt",
    "sub/../../outside/secret.txt",
    "sub/./../../secret.txt",
    "a.txt/../../secret.txt",
    "missing/../../secret.txt",
    "../root-2/secret.txt",
    "../root/../secret.txt",
    "..",
    "../",
    "sub/..",
    "sub/../..",
    ".../secret.txt",
    "....//secret.txt",
    "..;/secret.txt",
    "..;a=b/secret.txt",
    "..?/secret.txt",
    "..//secret.txt",
    "..///secret.txt",
    "../secret",
    # Encoded.
    "%2e%2e/secret.txt",
    "%2E%2E/secret.txt",
    ".%2e/secret.txt",
    "%2e./secret.txt",
    "%2e%2e%2fsecret.txt",
    "..%2fsecret.txt",
    "..%2Fsecret.txt",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "sub%2f..%2f..%2fsecret.txt",
    # Encoded twice, and more.
    "%252e%252e/secret.txt",
    "%252e%252e%252fsecret.txt",
    "..%252fsecret.txt",
    "%25252e%25252e/secret.txt",
    # Encoded as other systems do it, or wrongly.
    "%u002e%u002e/secret.txt",
    "%c0%ae%c0%ae/secret.txt",
    "%c0%ae%c0%ae%c0%afsecret.txt",
    "..%c0%afsecret.txt",
    "..%c1%9csecret.txt",
    "%e0%80%ae%e0%80%ae/secret.txt",
    "%f0%80%80%ae%f0%80%80%ae/secret.txt",
    "..%ef%bc%8fsecret.txt",
    "%ef%bc%8e%ef%bc%8e/secret.txt",
    "%e2%80%a5/secret.txt",
    "..%e2%88%95secret.txt",
    "%2/secret.txt",
    "%/../secret.txt",
    # Windows.
    "..\\secret.txt",
    "..%5csecret.txt",
    "..%5Csecret.txt",
    "%2e%2e%5csecret.txt",
    "..%255csecret.txt",
    "sub\\..\\..\\secret.txt",
    "sub%5c..%5c..%5csecret.txt",
    "..%5c/secret.txt",
    "..%2f%5csecret.txt",
    "C:/secret.txt",
    "C:%5csecret.txt",
    "c:../secret.txt",
    "%5c%5c127.0.0.1%5cshare%5csecret.txt",
    "//127.0.0.1/share/secret.txt",
    "%5c%5c.%5cglobalroot",
    "a.txt::$DATA",
    "a.txt%20",
    "NUL",
    "..%20/secret.txt",
    ".%20./secret.txt",
    # Absolute.
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "%2f%2fetc%2fpasswd",
    "{here}/secret.txt",
    "/{here}/secret.txt",
    "%2f{here}/secret.txt",
    "file://{here}/secret.txt",
    "file:%2f%2f{here}/secret.txt",
    "~/secret.txt",
    "~root/secret.txt",
    "$HOME/secret.txt",
    # NUL and other control characters.
    "a.txt%00",
    "..%00/secret.txt",
    "%00../secret.txt",
    "../secret.txt%00.txt",
    "file-link%00.txt",
    "%00",
    "..%0a/secret.txt",
    "..%0d%0a/secret.txt",
    "..%09/secret.txt",
    "..%7f/secret.txt",
    "..%01/secret.txt",
    # Links.
    "file-link",
    "relative-link",
    "chained-link",
    "directory-link",
    "directory-link/",
    "directory-link/secret.txt",
    "directory-link/secret",
    "directory-link/index.html",
    "up-link/secret.txt",
    "up-link/",
    "up-link/outside/",
    "up-link/root/up-link/secret.txt",
    "prefix-link/secret.txt",
    "root-link/etc/passwd",
    "root-link/",
    "proc-link/",
    "loop",
    "loop/secret.txt",
    "sub/back",
    "fifo",
    # Long.
    "a" * 300,
    "a" * 5000,
    "a/" * 3000,
    "sub/" * 100 + "../" * 101 + "secret.txt",
    "%2e" * 2000,
    "../" * 2000 + "etc/passwd",
    "./" * 2000 + "../secret.txt",
    "directory-link/" * 500,
]


def get(address: tuple[str, int], target: str) -> bytes:
    """Send a target as it is, and return the whole response."""
    with socket.create_connection(address, PATIENCE) as connection:
        head = f"GET {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        connection.sendall(head.encode("latin-1"))
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    return b"".join(pieces)


def is_outside(response: bytes) -> bool:
    """Whether it has the content of a file, or the list of a directory, that is not served."""
    return any(part in response for part in (SECRET, b"root:", b"secret.txt</a>", b"etc/</a>"))


def test_the_corpus_is_large_enough() -> None:
    assert len(set(ATTEMPTS)) == len(ATTEMPTS) >= 60


@pytest.mark.parametrize(
    "prefix", ["/media/", "/media//", "/media/sub/", "http://localhost/media/"]
)
@pytest.mark.parametrize("attempt", ATTEMPTS, ids=lambda attempt: attempt[:40])
def test_nothing_gets_out(
    address: tuple[str, int], directory: Path, attempt: str, prefix: str
) -> None:
    target = prefix + attempt.replace("{here}", str(directory))
    for _ in range(3):
        response = get(address, target)
        assert not is_outside(response)
        status = int(response.split(None, 2)[1])
        assert status in (308, 302, 400, 404, 414, 431)
        if status not in (302, 308):
            return
        (location,) = (
            line.partition(b":")[2].strip()
            for line in response.split(b"\r\n")
            if line.lower().startswith(b"location:")
        )
        # A redirect never leads to another server.
        assert location.startswith(b"/")
        assert not location.startswith((b"//", b"/\\"))
        target = location.decode("latin-1")
    pytest.fail(f"it is redirected again and again: {target}")


def test_what_is_inside_is_served(address: tuple[str, int]) -> None:
    for target in ("a.txt", "a", "sub/b.txt", "sub//b.txt", "sub/inside", "..hidden", "%61.txt"):
        response = get(address, f"/media/{target}")
        assert response.startswith(b"HTTP/1.1 200 ")
        assert response.endswith(PUBLIC)


NAMES = [
    *("", ".", "..", "...", "a.txt", "sub", "b.txt", "inside", "back", "loop", "fifo", "..hidden"),
    *("file-link", "relative-link", "chained-link", "directory-link", "up-link", "prefix-link"),
    *("root-link", "proc-link", "root", "outside", "secret.txt", "etc", "passwd", "\0", "\\"),
    *("..\\", "a" * 300, "\udcff", "\ufffd", "C:", "~", "~root", "index.html"),
]


def test_random_paths_stay_inside(tmp_path: Path) -> None:
    root = make(tmp_path).resolve()
    source = random.Random(17)
    opened = 0
    for _ in range(5000):
        names = source.choices(NAMES, k=source.randrange(1, 6))
        # Both checks alone, too: names that are refused, and links that are resolved.
        path = beneath.within(root, names)
        candidates = [Path(root, *names), *([] if path is None else [path])]
        assert path is None or ".." not in path.parts
        for candidate in candidates:
            try:
                descriptor = beneath.open_within(root, candidate)
            except (OSError, ValueError) as error:
                assert beneath.is_missing(error), (candidate, error)
                continue
            try:
                real = Path(f"/proc/self/fd/{descriptor}").readlink()
            finally:
                os.close(descriptor)
            assert real.is_relative_to(root), candidate
            opened += 1
    assert opened > 100


def test_random_requests_stay_inside(tmp_path: Path) -> None:
    root = make(tmp_path)
    router = wsgi.MediaRouter("/media", root, show_indexes=True, default_suffix="txt")
    source = random.Random(18)
    statuses = set()
    for _ in range(2000):
        path = "/".join(source.choices(NAMES, k=source.randrange(1, 6)))
        environ = wsgi.test_wsgi_environ("/")
        environ["PATH_INFO"] = f"/media/{path}".encode("utf-8", "surrogateescape").decode("latin-1")
        try:
            response = router(environ)
        except wsgi.HttpException as error:
            statuses.add(error.status)
            continue
        assert isinstance(response, wsgi.WsgiResponse)
        statuses.add(response.status_code)
        assert not is_outside(b"".join(response.content or ()))  # type: ignore[arg-type]
        response.close()
    assert statuses == {200, 302, 308, 404}


def test_a_list_has_only_what_is_served(tmp_path: Path) -> None:
    router = wsgi.MediaRouter("/media", make(tmp_path), show_indexes=True)
    response = router(wsgi.test_wsgi_environ("/media/"))
    assert isinstance(response, wsgi.WsgiResponse)
    page = b"".join(response.content or ())  # type: ignore[arg-type]
    assert b'href="sub/"' in page
    assert b"link" not in page
    assert b"loop" not in page
    response = router(wsgi.test_wsgi_environ("/media/sub/"))
    assert isinstance(response, wsgi.WsgiResponse)
    page = b"".join(response.content or ())  # type: ignore[arg-type]
    assert b'href="inside"' in page
    assert b"back" not in page


def test_a_directory_that_becomes_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    resolve = beneath.resolve

    def exchange(directory: Path, path: Path) -> Path:
        # After the check, and before the file is opened.
        real = resolve(directory, path)
        (root / "sub").rename(root / "old")
        (root / "sub").symlink_to(tmp_path / "outside")
        return real

    (root / "sub" / "secret.txt").write_bytes(PUBLIC)
    monkeypatch.setattr(beneath, "resolve", exchange)
    with pytest.raises(OSError, match="directory"):
        beneath.open_within(root, root / "sub" / "secret.txt")


def test_a_file_that_becomes_a_link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = make(tmp_path)
    resolve = beneath.resolve

    def exchange(directory: Path, path: Path) -> Path:
        real = resolve(directory, path)
        real.unlink()
        real.symlink_to(tmp_path / "secret.txt")
        return real

    monkeypatch.setattr(beneath, "resolve", exchange)
    with pytest.raises(OSError, match="symbolic links"):
        beneath.open_within(root, root / "a.txt")


def test_a_directory_that_is_itself_a_link(tmp_path: Path) -> None:
    root = make(tmp_path)
    (tmp_path / "current").symlink_to(root)
    router = wsgi.MediaRouter("/media", tmp_path / "current")
    response = router(wsgi.test_wsgi_environ("/media/a.txt"))
    assert isinstance(response, wsgi.WsgiResponse)
    assert b"".join(response.content or ()) == PUBLIC  # type: ignore[arg-type]
    response.close()
    with pytest.raises(wsgi.Http404):
        router(wsgi.test_wsgi_environ("/media/file-link"))
