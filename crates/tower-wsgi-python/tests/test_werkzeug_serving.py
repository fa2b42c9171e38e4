"""Werkzeug's own tests of its server, `tests/test_serving.py`, with this one in its place.

They come from Werkzeug's source distribution, which is downloaded into ``target`` once. What does
not hold, and why, is in `suites.werkzeug_exceptions`; what holds instead is tested at the end.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from suites.sources import source
from suites.werkzeug_exceptions import EXCEPTIONS
from werkzeug.serving import make_ssl_devcert

from tower_wsgi import wsgi
from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

HERE = Path(__file__).parent

PATIENCE = 60.0


def test_serving(tmp_path: Path) -> None:
    sources = source("werkzeug")
    for name in ("pyproject.toml", "tests/conftest.py", "tests/test_serving.py"):
        target = tmp_path / name
        target.parent.mkdir(exist_ok=True)
        shutil.copy(sources / name, target)
    applications = tmp_path / "tests/live_apps"
    shutil.copytree(sources / "tests/live_apps", applications)
    shutil.copy(HERE / "suites/werkzeug_run.py", applications / "run.py")
    command = ["-m", "pytest", "-p", "suites.werkzeug_plugin", "-p", "no:cacheprovider", "-rA"]
    run = subprocess.run(
        [sys.executable, *command, "tests/test_serving.py"],
        env={**os.environ, "PYTHONPATH": str(HERE)},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    print(run.stdout)
    assert run.returncode == 0
    end = re.search(r"= (\d+) passed, \d+ deselected, (\d+) xfailed in", run.stdout)
    assert end
    assert int(end[1]) >= 8
    assert int(end[2]) >= len(EXCEPTIONS)
    for encrypted in ("test_server[https]", "test_ssl_dev_cert"):
        assert f"PASSED tests/test_serving.py::{encrypted}\n" in run.stdout


def show(environ: Any, start_response: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read().decode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({**environ, "body": body}, default=str).encode()]


def stream(environ: Any, start_response: Any) -> Iterator[bytes]:
    start_response("200 OK", [])
    for number in range(5):
        yield b"%d\n" % number
    if environ["PATH_INFO"] == "/crash":
        raise RuntimeError("crash requested")


def exchange(url: str, request: bytes, trusted: str | None = None) -> bytes:
    """Give all that comes for ``request`` until the server closes the connection.

    With a ``trusted`` certificate, the server has to be the `localhost` of it.
    """
    unix = url.startswith("unix:")
    with ExitStack() as stack:
        family = socket.AF_UNIX if unix else socket.AF_INET
        client = stack.enter_context(socket.socket(family))
        client.settimeout(PATIENCE)
        parts = urlsplit(url)
        client.connect(parts.path if unix else (parts.hostname, parts.port))
        if trusted:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.load_verify_locations(trusted)
            encrypted = context.wrap_socket(client, server_hostname="localhost")
            client = stack.enter_context(encrypted)
        client.sendall(request)
        with client.makefile("rb") as response:
            return response.read()


def environ(response: bytes) -> Any:
    head, body = response.split(b"\r\n\r\n", 1)
    assert head.startswith(b"HTTP/1.1 200 OK\r\n"), head
    return json.loads(body)


def request(fields: bytes = b"", line: bytes = b"GET / HTTP/1.1", body: bytes = b"") -> bytes:
    return b"%s\r\nHost: a\r\nConnection: close\r\n%s\r\n%s" % (line, fields, body)


def test_a_unix_socket_has_hosts_as_others_have(tmp_path: Path) -> None:
    with LiveServer(show, bind=f"unix:{tmp_path / 'socket'}") as server:
        assert environ(exchange(server.url, request()))["HTTP_HOST"] == "a"
        path = request().replace(b"Host: a", b"Host: /tmp/socket")
        assert exchange(server.url, path).startswith(b"HTTP/1.1 400 ")


def test_tls_takes_files_and_no_object_of_python(tmp_path: Path) -> None:
    certificate, key = make_ssl_devcert(os.fspath(tmp_path / "pair"), cn="localhost")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(TypeError, match=r"the setting tls_certificate: .* not SSLContext"):
        LiveServer(show, tls_certificate=context)
    with LiveServer(show, tls_certificate=certificate, tls_key=key) as server:
        assert server.url.startswith("https://")
        variables = environ(exchange(server.url, request(), trusted=certificate))
    assert variables["wsgi.url_scheme"] == "https"
    assert variables["HTTPS"] == "on"


def test_a_target_names_the_host_and_has_no_fragment() -> None:
    line = b"GET http://missing.test:1337/index.html%s HTTP/1.1"
    with LiveServer(show) as server:
        variables = environ(exchange(server.url, request(line=line % b"")))
        address = urlsplit(server.url)
        response = exchange(server.url, request(line=line % b"#ignore"))
    assert variables["HTTP_HOST"] == "missing.test:1337"
    assert variables["PATH_INFO"] == "/index.html"
    assert variables["SERVER_NAME"] == address.hostname
    assert variables["SERVER_PORT"] == str(address.port)
    assert response.startswith(b"HTTP/1.1 400 ")
    assert b"target must not have a fragment" in response


def test_two_slashes_are_no_host() -> None:
    line = b"GET //double-slash HTTP/1.1"
    with LiveServer(show) as server:
        variables = environ(exchange(server.url, request(line=line)))
    assert variables["PATH_INFO"] == "//double-slash"
    assert variables["HTTP_HOST"] == "a"
    with LiveServer(wsgi.WsgiHandler([wsgi.clean_path_middleware, show])) as server:
        response = exchange(server.url, request(line=line))
    assert response.startswith(b"HTTP/1.1 302 ")
    assert b"\r\nlocation: /double-slash\r\n" in response


@pytest.mark.parametrize("length", [b"", b"Content-Length: invalid\r\n"])
def test_a_chunked_body_is_decoded(length: bytes) -> None:
    post = request(
        b"Transfer-Encoding: chunked\r\n" + length,
        b"POST / HTTP/1.1",
        b"4\r\nthis\r\n8\r\n is text\r\n0\r\n\r\n",
    ).replace(b"Connection: close\r\n", b"" if length else b"Connection: close\r\n")
    with LiveServer(show) as server:
        # With two lengths it is the last request of its connection: RFC 9112 section 6.3.
        variables = environ(exchange(server.url, post))
    assert variables["body"] == "this is text"
    assert variables["CONTENT_LENGTH"] == "12"
    assert "HTTP_TRANSFER_ENCODING" not in variables
    assert variables["wsgi.input_terminated"] is True


def test_the_values_of_a_repeated_field_are_joined() -> None:
    fields = b"XYZ: a \r\nX-Other: x\r\nXYZ:  b\r\nXYZ: c \r\nXYZ: d\r\n"
    with LiveServer(show) as server:
        variables = environ(exchange(server.url, request(fields)))
    assert re.split(", ?", variables["HTTP_XYZ"]) == ["a", "b", "c", "d"]


def test_folded_lines_are_refused() -> None:
    with LiveServer(show) as server:
        response = exchange(server.url, request(b"XYZ: first\r\n\tsecond\r\n"))
    assert response.startswith(b"HTTP/1.1 400 ")


def test_an_old_client_reads_a_stream_until_its_end_or_a_reset() -> None:
    with LiveServer(stream, thread_workers=1) as server:
        response = exchange(server.url, b"GET / HTTP/1.0\r\n\r\n")
        assert response.endswith(b"\r\n\r\n0\n1\n2\n3\n4\n")
        assert b"chunked" not in response
        with pytest.raises(ConnectionResetError):
            exchange(server.url, b"GET /crash HTTP/1.0\r\n\r\n")
