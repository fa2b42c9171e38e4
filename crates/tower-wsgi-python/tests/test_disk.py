"""Disks that are missing, full or wanted by many."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Client, Served

MEGABYTE = 1 << 20

APPLICATION = """
def application(environ, start_response):
    path = environ["PATH_INFO"]
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    if path == "/body":
        length = 0
        while data := environ["wsgi.input"].read(65536):
            length += len(data)
        return [b"%d" % length]
    size = int(path[1:])
    return (bytes([n % 251]) * 65536 for n in range(size * 16))
"""


def whole(megabytes: int) -> bytes:
    return b"".join(bytes([n % 251]) * 65536 for n in range(megabytes * 16))


class Reader:
    """A client that sends a request, and reads the response when the test says so."""

    def __init__(self, url: str, target: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.socket()
        # Little is on its way while it does not read.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(PATIENCE)
        self.socket.connect((host, int(port)))
        self.socket.sendall(f"GET {target} HTTP/1.0\r\nHost: a\r\n\r\n".encode())

    def head(self) -> bytes:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            byte = self.socket.recv(1)
            assert byte, head
            head += byte
        return head

    def rest(self) -> bytes:
        pieces = []
        while data := self.socket.recv(MEGABYTE):
            pieces.append(data)
        return b"".join(pieces)

    def __enter__(self) -> Reader:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def command(*options: str) -> list[str]:
    server = [sys.executable, "-m", "tower_wsgi", "app:application", "--bind", "127.0.0.1:0"]
    return [*server, "--workers", "1", *options]


@pytest.fixture
def serve_from(start: Callable[..., Served], tmp_path: Path) -> Callable[[str], Served]:
    """Serve the application from a place whose disk is ``missing`` or ``full``."""
    (tmp_path / "app.py").write_text(APPLICATION)
    disk = tmp_path / "disk"

    def serve_from(state: str) -> Served:
        arguments = command("--thread-workers", "2")
        if state == "full":
            disk.mkdir()
            mount = f'mount -t tmpfs -o size=1m none "{disk}" && exec "$@"'
            wrap = ["unshare", "--mount", "sh", "-c", mount, "sh"]
            if subprocess.run([*wrap, "true"], check=False).returncode != 0:
                pytest.skip("only root can mount a small disk")
            arguments = [*wrap, *arguments]
        return start(*arguments, env={"TMPDIR": str(disk)})

    return serve_from


@pytest.mark.parametrize("state", ["missing", "full"])
def test_a_late_reader_gets_the_whole_response(
    serve_from: Callable[[str], Served], state: str
) -> None:
    server = serve_from(state)
    for _ in range(2):
        with Reader(server.url, "/64") as reader:
            assert b" 200 OK" in reader.head()
            # It has not read on, and the thread has found out that there is no disk.
            while "cannot write a temporary file" not in server.log:
                server.wait_for_log("cannot write a temporary file")
            assert reader.rest() == whole(64)
    assert server.stop() == 0
    warnings = [line for line in server.log.splitlines() if "cannot write a temporary" in line]
    assert len(warnings) == 1, server.log
    assert "responses wait for their readers" in warnings[0]
    assert "directory=" in warnings[0]
    assert ("no temporary file can be written" in server.log) == (state == "missing")


@pytest.mark.parametrize("state", ["missing", "full"])
def test_an_upload_that_cannot_be_stored_is_503_and_a_small_one_needs_no_disk(
    serve_from: Callable[[str], Served], client: Client, state: str
) -> None:
    server = serve_from(state)
    response = client.post(f"{server.url}/body", data=b"x" * 4 * MEGABYTE)
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert client.post(f"{server.url}/body", data=b"small").text == "5"
    assert len(server.wait_for_log("cannot write a temporary file")) == 1


def test_readers_that_take_nothing_make_room_for_others(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    server = start(*command("--thread-workers", "5"))
    with ExitStack() as readers:
        for _ in range(12):
            readers.enter_context(Reader(server.url, "/1024"))
        # Without room for it, it would wait for half a minute, and get 503.
        assert client.get(f"{server.url}/0").status_code == 200
    server.wait_for_log("clients that read nothing of their response for a second were cut")


def test_unfinished_uploads_share_the_disk(start: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APPLICATION)
    server = start(*command("--max-spooled-bodies", "40M"))
    length = 20 * MEGABYTE

    def upload(expect: str = "") -> socket.socket:
        host, port = server.url.removeprefix("http://").split(":")
        connection = socket.create_connection((host, int(port)), PATIENCE)
        connection.sendall(
            f"POST /body HTTP/1.1\r\nHost: a\r\n{expect}Content-Length: {length}\r\n\r\n".encode()
        )
        return connection

    def wait_for(status: bytes) -> None:
        while True:
            with upload("Expect: 100-continue\r\n") as connection:
                if connection.recv(65536).startswith(b"HTTP/1.1 " + status):
                    return

    with ExitStack() as uploads:
        for _ in range(2):
            connection = uploads.enter_context(upload())
            connection.sendall(b"x" * (length - 1))
        # There is less left than the next one announces: it is not read.
        wait_for(b"503")
    wait_for(b"100")
