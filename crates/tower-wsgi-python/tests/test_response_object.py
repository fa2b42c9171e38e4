"""pulsar's `HttpServerResponse`: what `start_response` belongs to."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE

from tower_wsgi import wsgi
from tower_wsgi.wsgi.server import HttpServerResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

APPLICATION = """
import json
import sys
from tower_wsgi import wsgi


def facts(owner):
    return {
        "status": owner.status,
        "sent": owner.headers_sent and owner.headers_sent.decode("latin-1"),
        "chunked": (owner.is_chunked(), owner.chunked),
        "headers": owner.get_headers(),
        "length": owner.content_length,
        "version": owner.version,
        "upgrade": owner.upgrade,
    }


def respond(environ, start_response):
    owner = start_response.__self__
    steps = [facts(owner)]
    try:
        owner.write(b"early")
    except RuntimeError as error:
        steps.append(str(error))
    name = environ["PATH_INFO"].strip("/")
    headers = [("Content-Type", "text/plain"), ("X-Caf\\xe9".replace("\\xe9", "e"), "\\xe9 ")]
    if name == "length":
        headers.append(("Content-Length", "2000"))
    if name == "generator":
        headers = (field for field in headers)
    status = "204 No Content" if name == "empty" else "200 OK"
    (owner.start_response if name == "owner" else start_response)(status, headers)
    steps.append(facts(owner))
    assert isinstance(owner, wsgi.HttpServerResponse)
    assert start_response.__self__ is owner
    return owner, steps


def application(environ, start_response):
    owner, steps = respond(environ, start_response)
    if environ["PATH_INFO"] == "/restart":
        try:
            raise ValueError
        except ValueError:
            start_response("500 Oops", [("X-New", "1")], sys.exc_info())
        steps.append(facts(owner))
    if environ["PATH_INFO"] == "/empty":
        print(json.dumps(steps), flush=True)
        return []
    owner.write(b"[1, ", True)
    steps.append(facts(owner))
    return [(json.dumps(steps) + "]").encode().ljust(1996)]


async def asynchronous(environ, start_response):
    return application(environ, start_response)


handler = wsgi.WsgiHandler([application])
edited = wsgi.WsgiHandler([application], [lambda environ, response: None])
"""

# Where an application runs.
PLACES = [
    ("app:application",),
    ("app:application", "--thread-workers", "0"),
    ("app:asynchronous",),
    ("app:application", "--greenlet", "3"),
    ("app:handler",),
]


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_it_tells_how_far_the_response_is(
    serve: Callable[..., Served], client: Client, place: tuple[str, ...]
) -> None:
    pytest.importorskip("gevent")
    served = serve(*place, "-w", "1", source=APPLICATION)
    fields = [["Content-Type", "text/plain"], ["X-Cafe", "\xe9"]]
    head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Cafe: \xe9\r\n\r\n"
    nothing = {"sent": None, "length": None, "version": "HTTP/1.1", "upgrade": None}
    unknown = {**nothing, "status": None, "headers": [], "chunked": [True, True]}
    started = {**unknown, "status": "200 OK", "headers": fields}
    for path in ("/", "/owner", "/generator"):
        response = client.get(f"{served.url}{path}")
        assert response.headers["Transfer-Encoding"] == "chunked"
        before, error, after, sent = response.json()[1]
        assert before == unknown
        assert error == "nothing can be written before start_response is called"
        assert after == started
        assert sent == {**started, "sent": head}

    # The length is known.
    response = client.get(f"{served.url}/length")
    assert response.headers["Content-Length"] == "2000"
    *_, sent = response.json()[1]
    assert (sent["length"], sent["chunked"]) == (2000, [False, False])
    assert sent["sent"].endswith("Content-Length: 2000\r\n\r\n")

    # An error has replaced the first head.
    response = client.get(f"{served.url}/restart")
    assert (response.status_code, response.headers["X-New"]) == (500, "1")
    *_, replaced, sent = response.json()[1]
    assert replaced == {**started, "status": "500 Oops", "headers": [["X-New", "1"]]}
    assert sent["sent"] == "HTTP/1.1 500 Oops\r\nX-New: 1\r\n\r\n"

    # There is no body to send in chunks.
    assert client.get(f"{served.url}/empty").status_code == 204
    (line,) = served.wait_for_log(r"204 No Content")
    *_, after = json.loads(line)
    assert after["chunked"] == [False, False]


@pytest.mark.parametrize("place", PLACES, ids=" ".join)
def test_a_client_of_http_1_0_gets_no_chunks(
    serve: Callable[..., Served], place: tuple[str, ...]
) -> None:
    pytest.importorskip("gevent")
    served = serve(*place, "-w", "1", source=APPLICATION)
    address = urlsplit(served.url)
    with socket.create_connection((address.hostname, address.port), PATIENCE) as connection:
        connection.sendall(b"GET / HTTP/1.0\r\n\r\n")
        response = b"".join(iter(lambda: connection.recv(65536), b""))
    *_, sent = json.loads(response.partition(b"\r\n\r\n")[2])[1]
    assert (sent["version"], sent["chunked"]) == ("HTTP/1.0", [False, False])
    assert sent["sent"].startswith("HTTP/1.0 200 OK\r\n")


def test_response_middleware_keeps_it(serve: Callable[..., Served], client: Client) -> None:
    source = """
from tower_wsgi import wsgi

def application(environ, start_response):
    owner = start_response.__self__
    assert owner.headers_sent is None
    owner.start_response("200 OK", [("X-A", "1")])
    assert owner.headers_sent is None
    owner.write(b"one ", force=True)
    assert b"X-B: 2" in owner.headers_sent
    return [repr(owner.get_headers()).encode()]

def edit(environ, response):
    response.headers["X-B"] = "2"

application = wsgi.WsgiHandler([application], [edit])
"""
    served = serve("app:application", "-w", "1", source=source)
    assert client.get(served.url).text == "one [('X-A', '1'), ('X-B', '2')]"


def test_a_program_cannot_create_one() -> None:
    with pytest.raises(TypeError, match=r"cannot create|No constructor"):
        HttpServerResponse()  # type: ignore[call-arg]


def test_the_environ_of_a_test_has_a_connection() -> None:
    loop = object()
    environ = wsgi.test_wsgi_environ("/", https=True, loop=loop)  # type: ignore[arg-type]
    connection = environ["pulsar.connection"]
    assert connection._loop is loop
    assert connection.address == (environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"]))
    assert connection.server_address == (environ["SERVER_NAME"], int(environ["SERVER_PORT"]))
    assert connection.transport.get_extra_info("peername") == connection.address
    assert connection.is_secure
    assert connection.producer.cfg is environ["pulsar.cfg"]
    assert environ["pulsar.cfg"].thread_workers == 5
    assert wsgi.test_wsgi_environ()["pulsar.connection"]._loop is None

    async def running(environ: Any, start_response: Any) -> bool:
        import asyncio

        return environ["pulsar.connection"]._loop is asyncio.get_running_loop()

    import asyncio

    assert asyncio.run(running(wsgi.test_wsgi_environ(), None))


def test_the_connections_of_a_test_have_the_names_of_real_ones(
    serve: Callable[..., Served], client: Client
) -> None:
    source = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    connection = environ["pulsar.connection"]
    names = {*dir(connection), *dir(connection.producer)}
    return [" ".join(name for name in names if not name.startswith("__")).encode()]
"""
    served = serve("app:application", "-w", "1", source=source)
    fake = wsgi.test_wsgi_environ()["pulsar.connection"]
    missing = {name for name in client.get(served.url).text.split() if not hasattr(fake, name)}
    assert missing == {"_loop"} - set(dir(fake))
