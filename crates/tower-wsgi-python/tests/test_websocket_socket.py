"""Libraries that speak WebSocket over the socket in the environ, each with a real client."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import struct
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import simple_websocket
import socketio
from conftest import PATIENCE
from processes import memory, wait_until, workers
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect, unix_connect
from werkzeug.serving import make_ssl_devcert

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from conftest import Served
    from websockets.sync.client import ClientConnection

SITES = Path(__file__).parent / "sites"
DEPLOY = Path(__file__).parents[3] / "deploy"

SIZES = [1, 125, 126, 4096, 65_535, 65_536, 200_000, 1 << 20]

HANDSHAKE = (
    b"GET %s HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


@pytest.fixture
def site(start: Callable[..., Served]) -> Callable[..., Served]:
    """Serve an application of `websocket_site` by one worker, at one address."""

    def site(
        name: str = "flask_app",
        *options: str | Path,
        bind: str = "127.0.0.1:0",
        env: dict[str, str] | None = None,
    ) -> Served:
        command = [
            sys.executable,
            "-m",
            "tower_wsgi",
            name if ":" in name else f"websocket_site:{name}",
        ]
        command += ["--bind", bind, "--workers", "1", "--pythonpath", str(SITES)]
        return start(*command, *options, env=env)

    return site


@pytest.fixture(scope="module")
def shared(start_for_module: Callable[..., Served]) -> Served:
    """A server for all tests that leave it as it was."""
    command = [sys.executable, "-m", "tower_wsgi", "websocket_site:flask_app"]
    command += ["--bind", "127.0.0.1:0", "--workers", "1", "--pythonpath", str(SITES)]
    return start_for_module(*command)


@pytest.fixture
def quiet(shared: Served) -> Iterator[Served]:
    """The same, for a test in which nothing is logged."""
    before = len(errors(shared))
    yield shared
    assert errors(shared)[before:] == []


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return parts.hostname, parts.port


def open_socket(url: str, path: str, **options: Any) -> ClientConnection:
    """Connect as a browser does; ``url`` is that of the server."""
    options = {"open_timeout": PATIENCE, "close_timeout": PATIENCE, "max_size": None, **options}
    if url.startswith("unix:"):
        return unix_connect(url.removeprefix("unix:"), f"ws://a{path}", **options)
    return connect(f"ws{url.removeprefix('http')}{path}", **options)


def exchange(client: ClientConnection, message: str | bytes) -> None:
    client.send(message)
    assert client.recv(timeout=PATIENCE) == message


def raw(url: str, path: str) -> socket.socket:
    """Connect, and shake hands, without a library that replies to anything."""
    client = socket.create_connection(address(url), PATIENCE)
    client.sendall(HANDSHAKE % path.encode())
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, head
        head += byte
    assert head.startswith(b"HTTP/1.1 101 "), head
    return client


def get(url: str) -> str:
    with urlopen(url, timeout=PATIENCE) as response:
        text: str = response.read().decode()
        return text


def figures(server: Served) -> dict[str, int]:
    found: dict[str, int] = json.loads(get(f"{server.url}/figures"))
    return found


def errors(server: Served) -> list[str]:
    """The lines of the log that an operator would look at."""
    return re.findall(
        r"^.*(?:ERROR|WARN|Traceback|Error:|Exception|StopIteration).*$", server.log, re.MULTILINE
    )


@pytest.mark.parametrize("transport", ["tcp", "tls", "unix"])
def test_flask_sock_sends_messages_of_all_sizes_back(
    site: Callable[..., Served], transport: str, tmp_path: Path
) -> None:
    options: list[str] = []
    client_options: dict[str, Any] = {}
    bind = "127.0.0.1:0"
    if transport == "tls":
        certificate, key = make_ssl_devcert(os.fspath(tmp_path / "pair"), cn="localhost")
        options += ["--tls-certificate", certificate, "--tls-key", key]
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate)
        client_options = {"ssl": context, "server_hostname": "localhost"}
    elif transport == "unix":
        bind = f"unix:{tmp_path / 'socket'}"
    server = site("flask_app", *options, bind=bind, env={"PING_INTERVAL": "5"})
    for compression in [None, "deflate"]:
        with open_socket(server.url, "/echo", compression=compression, **client_options) as client:
            for size in SIZES:
                exchange(client, "ä" * (size // 2) + "x" * (size % 2))
                exchange(client, os.urandom(size))
        assert client.close_code == 1000
    assert server.stop() == 0
    assert errors(server) == []


def test_a_client_that_closes_is_always_replied_to(quiet: Served) -> None:
    # The library replies on one thread, while the handler returns on another.
    for _ in range(100):
        with open_socket(quiet.url, "/echo") as client:
            exchange(client, "hello")
        assert client.close_code == 1000


def test_a_client_that_replies_to_no_ping_is_closed_by_the_library(
    site: Callable[..., Served],
) -> None:
    # The library waits for the ping by a selector on the socket's descriptor.
    server = site(env={"PING_INTERVAL": "0.05"})
    with raw(server.url, "/echo") as client, client.makefile("rb") as stream:
        received = stream.read()
    assert received.startswith(b"\x89\x00")
    assert b"Ping/Pong timeout" in received


def test_open_sockets_take_no_threads_from_plain_requests(site: Callable[..., Served]) -> None:
    server = site("flask_app", "--thread-workers", "2")
    with ExitStack() as stack:
        clients = [stack.enter_context(open_socket(server.url, "/echo")) for _ in range(100)]
        with pytest.raises(InvalidStatus) as refused:
            open_socket(server.url, "/echo")
        assert refused.value.response.status_code == 503
        assert refused.value.response.headers["Retry-After"] == "1"
        for number, client in enumerate(clients):
            assert get(server.url) == "plain"
            exchange(client, f"message {number}")
        assert figures(server)["websocket"] == 100
    # Each of the threads can take another socket.
    wait_until(lambda: can_open(server.url))
    assert errors(server) == []


def can_open(url: str) -> bool:
    try:
        with open_socket(url, "/echo") as client:
            exchange(client, "hello")
    except InvalidStatus as refused:
        assert refused.response.status_code == 503
        return False
    return True


def test_an_application_on_the_event_loop_has_sockets_too(site: Callable[..., Served]) -> None:
    server = site("flask_app", "--thread-workers", "0", "--websocket-threads", "2")
    with open_socket(server.url, "/echo") as one, open_socket(server.url, "/echo") as two:
        exchange(one, "one")
        exchange(two, "two")
        assert get(server.url) == "plain"


def test_greenlets_hold_sockets_beside_plain_requests(site: Callable[..., Served]) -> None:
    server = site("flask_app", "--greenlet", "2", "--websocket-threads", "20")
    with ExitStack() as stack:
        clients = [stack.enter_context(open_socket(server.url, "/echo")) for _ in range(20)]
        with pytest.raises(InvalidStatus):
            open_socket(server.url, "/echo")
        for client in clients:
            assert get(server.url) == "plain"
            for size in [1, 200_000]:
                exchange(client, "x" * size)
    assert {client.close_code for client in clients} == {1000}
    closes_cleanly(server)
    with open_socket(server.url, "/raises") as client:
        client.send("hello")
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
    server.wait_for_log("LookupError: the handler got 'hello'")
    assert server.stop() == 0
    assert "StopIteration" not in server.log


@pytest.mark.parametrize("transports", [["websocket"], ["polling", "websocket"]])
def test_flask_socketio_connects_by_websocket(
    site: Callable[..., Served], transports: list[str]
) -> None:
    server = site("socketio_site:application")
    received = threading.Event()
    client = socketio.Client()
    client.on("message", lambda data: received.set() if data == "hello" * 1000 else None)
    client.connect(server.url, transports=transports, wait_timeout=PATIENCE)
    wait_until(lambda: client.transport() == "websocket")
    client.send("hello" * 1000)
    assert received.wait(PATIENCE)
    client.disconnect()
    client.wait()
    assert server.stop() == 0
    assert errors(server) == []


def test_simple_websocket_without_a_framework(site: Callable[..., Served]) -> None:
    server = site("direct")
    client = simple_websocket.Client(
        f"ws{server.url.removeprefix('http')}/", subprotocols=["other", "echo"]
    )
    assert client.subprotocol == "echo"
    client.send("hello")
    assert client.receive(PATIENCE) == "echo: hello"
    client.close()
    assert server.stop() == 0
    assert errors(server) == []


@pytest.mark.parametrize("name", ["with_eventlet", "with_ws4py"])
def test_other_libraries(site: Callable[..., Served], name: str) -> None:
    server = site(name)
    with open_socket(server.url, "/", compression=None) as client:
        for size in SIZES:
            exchange(client, "x" * size)
    assert client.close_code == 1000
    assert server.stop() == 0
    assert errors(server) == []


def test_what_a_handler_raises_is_logged_and_its_socket_closed(shared: Served) -> None:
    server = shared
    with open_socket(server.url, "/raises") as client:
        client.send("hello")
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
    # Flask's own log, with the traceback.
    server.wait_for_log("LookupError: the handler got 'hello'")
    assert "StopIteration" not in server.log
    wait_until(lambda: figures(server)["libraries"] == 0)


@pytest.mark.parametrize("threads", ["0", "3"])
def test_what_an_application_without_a_framework_raises_is_logged(
    serve: Callable[..., Served], threads: str
) -> None:
    server = serve("app:application", "--thread-workers", threads, "--workers", "1", source=RAISES)
    with raw(server.url, "/later") as client:
        assert client.recv(1) == b""
    server.wait_for_log("LookupError: after the handshake")
    server.wait_for_log("ERROR.*application failed.*/later")
    with raw(server.url, "/broken-pipe") as client:
        assert client.recv(1) == b""
    # What is raised because the client is gone is nothing to look at.
    assert get(f"{server.url}/plain") == "plain"
    assert "BrokenPipe" not in server.log


RAISES = """
def application(environ, start_response):
    socket = environ.get("gunicorn.socket")
    if socket is None:
        start_response("200 OK", [])
        return [b"plain"]
    socket.send(b"HTTP/1.1 101 Switching Protocols\\r\\nSec-WebSocket-Accept: x\\r\\n\\r\\n")
    if environ["PATH_INFO"] == "/later":
        raise LookupError("after the handshake")
    raise BrokenPipeError
"""


def test_a_request_whose_socket_is_not_used_has_an_ordinary_response(shared: Served) -> None:
    server = shared
    with socket.create_connection(address(server.url), PATIENCE) as client:
        stream = client.makefile("rb")
        client.sendall(HANDSHAKE % b"/forbidden")
        head, body = b"", b"True"
        while not head.endswith(b"\r\n\r\n"):
            head += stream.readline()
        assert head.startswith(b"HTTP/1.1 403 ")
        assert stream.read(len(body)) == body
        # A handshake that the library refuses, on the same connection.
        broken = (HANDSHAKE % b"/echo").replace(b"Key", b"Lock")
        client.sendall(broken)
        assert stream.readline().startswith(b"HTTP/1.1 500 ")
    # As for any exception of a view.
    server.wait_for_log("RemoteProtocolError")
    assert get(server.url) == "plain"


def test_a_handler_that_returns_closes_cleanly(quiet: Served) -> None:
    closes_cleanly(quiet)


def test_a_handler_in_a_chain_of_middleware_closes_cleanly(site: Callable[..., Served]) -> None:
    server = site("chain_app")
    closes_cleanly(server)
    assert errors(server) == []


def closes_cleanly(server: Served) -> None:
    for _ in range(20):
        with open_socket(server.url, "/once") as client:
            assert client.recv(PATIENCE) == "once"
            with pytest.raises(ConnectionClosed):
                client.recv(PATIENCE)
        assert client.close_code == 1000


@pytest.mark.parametrize("how", ["reset", "half-close", "close"])
def test_a_client_that_goes_away_ends_a_handler_that_receives(quiet: Served, how: str) -> None:
    goes_away(quiet, "/echo", how)


@pytest.mark.parametrize("how", ["reset", "half-close", "close"])
def test_a_client_that_goes_away_ends_a_handler_that_sends(shared: Served, how: str) -> None:
    # Flask logs the `BrokenPipeError` that the handler may see.
    goes_away(shared, "/floods", how)


def goes_away(server: Served, path: str, how: str) -> None:
    with raw(server.url, path) as client:
        wait_until(lambda: figures(server)["libraries"] == 1)
        if how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif how == "half-close":
            client.shutdown(socket.SHUT_WR)
            with client.makefile("rb") as stream:
                while stream.read(1 << 20):
                    pass
    wait_until(lambda: figures(server)["libraries"] == 0)


def test_a_client_that_reads_nothing_holds_the_handler_and_no_memory(shared: Served) -> None:
    (worker,) = workers(shared)
    with raw(shared.url, "/floods"):
        wait_until(lambda: figures(shared)["libraries"] == 1)
        before = memory(worker)
        # Requests that all get their turn, while the other side could fill megabytes.
        for _ in range(100):
            assert get(shared.url) == "plain"
        assert memory(worker) - before < 16 << 20
    wait_until(lambda: figures(shared)["libraries"] == 0)


def test_a_stop_tells_clients_and_waits_for_them(site: Callable[..., Served]) -> None:
    server = site()
    with open_socket(server.url, "/echo") as client:
        exchange(client, "hello")
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed):
            client.recv(PATIENCE)
        assert client.close_code == 1001
    assert server.wait() == 0
    assert errors(server) == []


def test_a_stop_does_not_wait_for_a_handler_in_recv(site: Callable[..., Served]) -> None:
    server = site("flask_app", "--graceful-timeout", "1s")
    with raw(server.url, "/echo") as client:
        since = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        # It does not reply to the close frame.
        with client.makefile("rb") as stream:
            stream.read()
        server.wait()
    assert time.monotonic() - since < PATIENCE
    # The library's thread was not waited for in vain when the interpreter ended.
    assert "killed" not in server.log


@pytest.mark.parametrize("threads", ["0", "3"])
def test_many_connections_leak_neither_descriptors_nor_threads(
    site: Callable[..., Served], threads: str
) -> None:
    server = site("flask_app", "--thread-workers", threads, "--websocket-threads", "8")

    def many(count: int) -> None:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(one, range(count)))

    def one(number: int) -> None:
        if number % 4 == 0:
            with open_socket(server.url, "/echo") as client:
                exchange(client, "hello")
        elif number % 4 == 1:
            with raw(server.url, "/echo") as leaving:
                leaving.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        elif number % 4 == 2:
            with open_socket(server.url, "/once") as client:
                client.recv(PATIENCE)
        else:
            with pytest.raises(InvalidStatus):
                open_socket(server.url, "/forbidden")

    def settled() -> dict[str, int]:
        wait_until(lambda: figures(server)["libraries"] == 0)
        # The connections of clients that have left are closed a moment later.
        fewest = figures(server)["files"]
        wait_until(lambda: figures(server)["files"] <= fewest)
        return figures(server)

    many(80)
    before = settled()
    many(320)
    wait_until(lambda: settled()["files"] <= before["files"])
    assert settled()["websocket"] <= 8
    assert errors(server) == []


def nginx(server: Served, directory: Path) -> tuple[list[str], str]:
    """The command of nginx in front of a server, with the file of `deploy`, and its address."""
    temporary = "".join(
        f"{what}_temp_path {directory / what};\n"
        for what in ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    )
    port = free_port()
    text = (DEPLOY / "nginx/nginx.conf").read_text()
    for old, new in [
        ("user www-data;", "user root;"),
        ("pid /run/nginx.pid;", f"pid {directory / 'pid'};"),
        ("http {", f"http {{\n{temporary}"),
        ("listen 80;", f"listen 127.0.0.1:{port};"),
        ("server 127.0.0.1:8001 fail", f"server {server.url.removeprefix('http://')} fail"),
        ("server 127.0.0.1:8002 fail_timeout=1s;", ""),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / "nginx.conf"
    file.write_text(text)
    command = ["nginx", "-p", str(directory), "-e", "stderr", "-c", str(file)]
    return [*command, "-g", "daemon off;"], f"http://127.0.0.1:{port}"


def haproxy(server: Served, directory: Path) -> tuple[list[str], str]:
    """The command of HAProxy in front of a server, with the file of `deploy`, and its address."""
    port = free_port()
    own = server.url.removeprefix("http://")
    text = (DEPLOY / "haproxy/haproxy.cfg").read_text()
    for old, new in [
        ("log stdout", "log stderr"),
        ("user haproxy", f"uid {os.getuid()}"),
        ("group haproxy", f"gid {os.getgid()}"),
        ("bind :80", f"bind 127.0.0.1:{port}"),
        ("server one 127.0.0.1:8001", f"server one {own}"),
        ("server one-websocket 127.0.0.1:8001", f"server one-websocket {own}"),
        ("server two 127.0.0.1:8002", ""),
        ("server two-websocket 127.0.0.1:8002 track app/two", ""),
    ]:
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = directory / "haproxy.cfg"
    file.write_text(text)
    return ["haproxy", "-db", "-f", str(file)], f"http://127.0.0.1:{port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


@pytest.mark.parametrize("proxy", [nginx, haproxy])
def test_behind_a_proxy(
    site: Callable[..., Served],
    start: Callable[..., Served],
    tmp_path: Path,
    proxy: Callable[[Served, Path], tuple[list[str], str]],
) -> None:
    program = proxy.__name__
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    server = site("flask_app", "--readiness-path", "/-/ready", env={"PING_INTERVAL": "5"})
    command, url = proxy(server, tmp_path)
    start(*command, addresses=0)
    wait_until(lambda: responds(url))
    with open_socket(url, "/echo") as client:
        for size in SIZES:
            exchange(client, "x" * size)
            exchange(client, os.urandom(size))
        assert get(url) == "plain"
    assert client.close_code == 1000


def responds(url: str) -> bool:
    try:
        return get(url) == "plain"
    except OSError:
        return False
