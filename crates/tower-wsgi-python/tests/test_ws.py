"""WebSockets with events, by `tower_wsgi.ws`: handshake, events, closing, and what goes wrong."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import requests
from conftest import PATIENCE
from processes import wait_until
from websockets.sync.client import connect
from ws_client import (
    ACCEPT,
    BINARY,
    CLOSE,
    HANDSHAKE,
    PING,
    PONG,
    TEXT,
    RawClient,
    close_payload,
    frame,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

TESTS = Path(__file__).parent


@pytest.fixture(scope="module")
def server(start_for_module: Callable[..., Served]) -> Served:
    return start_for_module(
        *(sys.executable, "-m", "tower_wsgi", "ws_application", "--pythonpath", TESTS),
        *("--bind", "127.0.0.1:0", "--workers", "1", "--thread-workers", "3"),
    )


@pytest.fixture(autouse=True)
def _forget(server: Served) -> None:
    ask(server, "/forget")


def ask(server: Served, path: str) -> Any:
    return requests.get(server.url + path, timeout=PATIENCE).json()


def events(server: Served, count: int) -> list[Any]:
    """Wait for this number of records of `Recorder`."""
    wait_until(lambda: len(ask(server, "/events")) >= count)
    found: list[Any] = ask(server, "/events")
    assert len(found) == count, found
    return found


def address(server: Served, path: str) -> str:
    return server.url.replace("http", "ws", 1) + path


def test_messages_are_echoed_in_order(server: Served) -> None:
    with connect(address(server, "/echo")) as client:
        messages: list[str | bytes] = ["", "hello", "häßlich ☃ 🐍", b"", b"\x00\xff", "x" * 100_000]
        messages += [str(number) for number in range(500)]
        for message in messages:
            client.send(message)
        assert [client.recv(PATIENCE) for _ in messages] == messages


def test_the_response_is_the_applications(server: Served) -> None:
    with RawClient(server.url, "/echo") as client:
        assert client.status == 101
        assert client.headers["sec-websocket-accept"] == ACCEPT
        assert client.headers["upgrade"] == "websocket"
        assert client.headers["connection"].lower() == "upgrade"
        assert client.headers["set-cookie"] == "a=b"
        assert "content-length" not in client.headers
        assert "transfer-encoding" not in client.headers
        assert "sec-websocket-extensions" not in client.headers


def test_a_frame_in_the_packet_of_the_handshake_is_not_lost(server: Served) -> None:
    with RawClient(server.url, "/echo", after=frame(TEXT, b"early")) as client:
        assert client.receive() == (TEXT, b"early")


def test_other_paths_are_for_the_next_middleware(server: Served) -> None:
    with RawClient(server.url, "/events") as client:
        assert client.status == 200


@pytest.mark.parametrize(
    ("status", "sentence", "headers"),
    [
        (400, "Upgrade: websocket", {"Upgrade": None}),
        (400, "Upgrade: websocket", {"Upgrade": "websockets"}),
        (400, "Connection: Upgrade", {"Connection": "keep-alive"}),
        (400, "16 bytes in base64", {"Sec_WebSocket_Key": None}),
        (400, "16 bytes in base64", {"Sec_WebSocket_Key": "c2hvcnQ="}),
        (400, "16 bytes in base64", {"Sec_WebSocket_Key": "?" * 24}),
        (426, "must be 13; the request has 8", {"Sec_WebSocket_Version": "8"}),
        (426, "must be 13; the request has none", {"Sec_WebSocket_Version": None}),
        (405, "opened by a GET request", {"method": "POST", "Content_Length": "0"}),
        (403, "https://evil.example may not open", {"Origin": "https://evil.example"}),
        (403, "null may not open", {"Origin": "null"}),
        (403, "may not open", {"Origin": "no origin"}),
    ],
)
def test_a_handshake_that_is_wrong_gets_a_sentence(
    server: Served, status: int, sentence: str, headers: dict[str, str]
) -> None:
    with RawClient(server.url, "/echo", **headers) as client:
        assert client.status == status
        assert sentence in client.body()
        if status == 426:
            assert client.headers["sec-websocket-version"] == "13"
        if status == 405:
            assert client.headers["allow"] == "GET"


def test_names_in_the_handshake_may_be_in_lists_and_in_any_case(server: Served) -> None:
    with RawClient(
        server.url, "/echo", Upgrade="WebSocket", Connection="keep-alive, UPGRADE"
    ) as client:
        assert client.status == 101


@pytest.mark.parametrize(
    ("path", "origin", "host", "status"),
    [
        ("/echo", "http://site.example", "site.example", 101),
        ("/echo", "https://SITE.example", "site.example:443", 101),
        ("/echo", "http://site.example:8000", "site.example:8000", 101),
        ("/echo", "http://site.example:8000", "site.example:8001", 403),
        ("/echo", "http://[::1]:80", "[::1]", 101),
        ("/echo", "http://site.example.evil", "site.example", 403),
        ("/ours", "https://a.example", "site.example", 101),
        ("/ours", "http://b.example:8080", "site.example", 101),
        ("/ours", "http://a.example", "site.example", 403),
        ("/ours", "http://site.example", "site.example", 403),
        ("/all", "https://anywhere.example", "site.example", 101),
    ],
)
def test_only_pages_of_allowed_origins_open_a_socket(
    server: Served, path: str, origin: str, host: str, status: int
) -> None:
    with RawClient(server.url, path, Origin=origin, Host=host) as client:
        assert client.status == status


def test_the_first_known_subprotocol_that_is_offered_is_chosen(server: Served) -> None:
    with RawClient(server.url, "/record", Sec_WebSocket_Protocol="one, two") as client:
        assert client.headers["sec-websocket-protocol"] == "two"
    with RawClient(server.url, "/record", Sec_WebSocket_Protocol="three") as client:
        assert client.status == 101
        assert "sec-websocket-protocol" not in client.headers
    chosen = [record[1] for record in events(server, 4) if record[0] == "open"]
    assert chosen == ["two", None]


def test_each_kind_of_event_has_its_method(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, "größer".encode()))
        client.send(frame(BINARY, b"12345"))
        client.send(frame(PING, b"are you there"))
        assert client.receive() == (PONG, b"are you there")
        client.send(frame(PONG, b"still here"))
        client.send(frame(CLOSE, close_payload(3000, "enough")))
        assert client.receive_close() == (3000, "enough")
        assert client.is_ended()
    assert events(server, 6) == [
        ["open", None],
        ["message", "größer"],
        ["bytes", 5],
        ["ping", "are you there"],
        ["pong", "still here"],
        ["close", [3000, "enough"], False],
    ]


def test_the_handler_closes(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"close 4001 go away"))
        assert client.receive_close() == (4001, "go away")
        client.send(frame(TEXT, b"not for the handler"))
        client.send(frame(CLOSE, close_payload(4001, "go away")))
        assert client.is_ended()
    assert events(server, 5) == [
        ["open", None],
        ["message", "close 4001 go away"],
        True,
        False,
        ["close", [4001, "go away"], False],
    ]


@pytest.mark.parametrize("code", [0, 999, 1004, 1005, 1006, 1015, 2999, 5000])
def test_a_code_that_must_not_be_sent_is_refused(server: Served, code: int) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, f"close {code}".encode()))
        assert client.receive_close()[0] == 1011
    server.wait_for_log(f"ValueError: a WebSocket cannot be closed with the code {code}")


def test_the_handler_pings(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"ping hello"))
        assert client.receive() == (PING, b"hello")
        assert client.receive() == (PONG, b"hello")
        client.send(frame(TEXT, b"ping " + b"x" * 126))
        assert client.receive_close()[0] == 1011


def test_a_client_that_vanishes_is_1006(server: Served) -> None:
    with RawClient(server.url, "/record"):
        pass
    assert events(server, 2)[1] == ["close", [1006, ""], False]


def test_a_close_without_a_code_is_1005(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(CLOSE))
        assert client.receive_close() == (1005, "")
    assert events(server, 2)[1] == ["close", [1005, ""], False]


def test_messages_before_the_close_are_handled_before_it(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        texts = [f"sleep 0.0{number % 3}" for number in range(20)]
        client.send(b"".join(frame(TEXT, text.encode()) for text in texts))
        client.send(frame(CLOSE, close_payload(1000)))
        assert client.receive_close() == (1000, "")
    found = events(server, 22)
    assert found[1:21] == [["message", text] for text in texts]
    assert found[21] == ["close", [1000, ""], False]


def test_a_handler_that_raises_closes_with_1011(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"raise out of luck") + frame(TEXT, b"never handled"))
        assert client.receive_close() == (1011, "the server failed")
        client.send(frame(CLOSE, close_payload(1011)))
        assert client.is_ended()
    found = events(server, 3)
    assert found[2] == ["close", [1011, "the server failed"], False]
    server.wait_for_log("Traceback")
    server.wait_for_log("LookupError: out of luck")
    server.wait_for_log("a WebSocket handler failed.*on_message")


def test_a_handler_that_exits_ends_its_socket_only(server: Served) -> None:
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"exit now"))
        assert client.receive_close()[0] == 1011
    assert ask(server, "/publish?still+alive") == 0


def test_on_open_and_on_close_may_raise(server: Served) -> None:
    with RawClient(server.url, "/fails") as client:
        assert client.receive_close()[0] == 1011
        client.send(frame(CLOSE, close_payload(1011)))
        assert client.is_ended()
    assert events(server, 1) == [["close", [1011, "the server failed"]]]
    server.wait_for_log("on_open has failed")
    server.wait_for_log("on_close has failed")


def test_a_message_that_is_too_large_is_1009(server: Served) -> None:
    for data in [
        frame(TEXT, b"x" * 1001),
        frame(TEXT, length=1 << 40),
        frame(TEXT, b"x" * 600, fin=False) + frame(0, b"x" * 600),
    ]:
        with RawClient(server.url, "/small") as client:
            client.send(data)
            assert client.receive_close() == (1009, "a message has at most 1000 bytes")
            # What it still sends does not reset the connection.
            client.send(b"x" * 100_000)
    found = events(server, 6)
    assert found.count(["close", [1009, "a message has at most 1000 bytes"], False]) == 3
    with RawClient(server.url, "/small") as client:
        client.send(frame(BINARY, b"x" * 1000))
        events(server, 8)


def test_a_client_that_never_reads_is_1013_when_much_is_pushed(server: Served) -> None:
    with RawClient(server.url, "/small", receive_buffer=4096) as client:
        client.send(frame(TEXT, b"push 1000 60000"))
        found = events(server, 3)
        queued: list[bool] = found[2]
        assert queued[0] is True
        assert queued[-1] is False
        # Nothing is queued after the first one that was not.
        assert queued.index(False) == queued.count(True)
        received = 0
        while (received_frame := client.receive())[0] == BINARY:
            received += 1
        assert received_frame[1] == close_payload(1013, "too many messages wait for the client")
        assert received < queued.count(True)
        client.send(frame(CLOSE, received_frame[1]))
        assert client.is_ended()
    close = ["close", [1013, "too many messages wait for the client"], False]
    assert events(server, 4)[3] == close


def test_a_client_that_never_reads_its_echo_is_not_read_from(server: Served) -> None:
    with RawClient(server.url, "/echo", receive_buffer=4096) as client:
        message = frame(BINARY, b"x" * 1_000_000)
        client.socket.settimeout(2)
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 1000:
                client.send(message)
                sent += 1
        assert 1 < sent < 200
        # Others are served.
        with connect(address(server, "/echo")) as other:
            other.send("hello")
            assert other.recv(PATIENCE) == "hello"


def test_half_a_frame_holds_no_thread(server: Served) -> None:
    message = frame(TEXT, b"finally")
    with RawClient(server.url, "/echo") as client:
        client.send(message[:5])
        for _ in range(10):
            assert ask(server, "/publish?nothing") == 0
        client.send(message[5:])
        assert client.receive() == (TEXT, b"finally")


def check_that_sockets_do_not_wait_for_one_another(server: Served) -> None:
    with RawClient(server.url, "/record") as slow, RawClient(server.url, "/echo") as quick:
        slow.send(frame(TEXT, b"wait") + frame(TEXT, b"ping done"))
        events(server, 2)
        messages = [str(number).encode() for number in range(100)]
        quick.send(b"".join(frame(TEXT, message) for message in messages))
        assert [quick.receive() for _ in messages] == [(TEXT, message) for message in messages]
        # The first one still waits.
        events(server, 2)
        ask(server, "/release")
        assert slow.receive() == (PING, b"done")


def test_sockets_do_not_wait_for_one_another(server: Served) -> None:
    check_that_sockets_do_not_wait_for_one_another(server)


def test_the_request_of_the_handshake_is_there(server: Served) -> None:
    with RawClient(server.url, "/record?a=b", X_Name="value") as client:
        client.send(frame(TEXT, b"handshake PATH_INFO QUERY_STRING HTTP_X_NAME"))
        assert json.loads(client.receive()[1]) == ["/record", "a=b", "value"]
        client.send(frame(TEXT, b"cfg thread_workers"))
        assert client.receive() == (TEXT, b"3")


def test_a_broadcast_reaches_all(server: Served) -> None:
    clients = [RawClient(server.url, "/quiet") for _ in range(50)]
    wait_until(lambda: ask(server, "/state")["open"] == 50)
    assert ask(server, "/publish?news") == 50
    for client in clients:
        assert client.receive() == (TEXT, b"news")
        client.close()
    wait_until(lambda: ask(server, "/state")["open"] == 0)


def test_asynchronous_methods_run_on_the_loop_in_order(server: Served) -> None:
    with connect(address(server, "/async")) as client:
        assert client.recv(PATIENCE) == "open on asyncio"
        messages = [str(number) for number in range(50)]
        for message in messages:
            client.send(message)
        assert [client.recv(PATIENCE) for _ in messages] == messages


def test_in_a_greenlet_a_handler_waits_without_the_others(start: Callable[..., Served]) -> None:
    pytest.importorskip("gevent")
    server = start(
        *(sys.executable, "-m", "tower_wsgi", "ws_application", "--pythonpath", TESTS),
        *("--bind", "127.0.0.1:0", "--workers", "1", "--greenlet", "10"),
    )
    check_that_sockets_do_not_wait_for_one_another(server)
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"raise in a greenlet"))
        assert client.receive_close() == (1011, "the server failed")
        client.send(frame(CLOSE, close_payload(1011)))
        assert client.is_ended()
    wait_until(lambda: ["close", [1011, "the server failed"], False] in ask(server, "/events"))
    with connect(address(server, "/async")) as client:
        assert client.recv(PATIENCE) == "open on asyncio"


def test_an_asynchronous_application_has_sockets_too(serve: Callable[..., Served]) -> None:
    server = serve(source=ASYNCHRONOUS)
    with connect(address(server, "/sync")) as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "hello asyncio"
    with connect(address(server, "/async")) as client:
        client.send("hello")
        assert client.recv(PATIENCE) == "hello asyncio"


def test_on_the_event_loop_handlers_run_there(start: Callable[..., Served]) -> None:
    server = start(
        *(sys.executable, "-m", "tower_wsgi", "ws_application", "--pythonpath", TESTS),
        *("--bind", "127.0.0.1:0", "--workers", "1", "--thread-workers", "0"),
    )
    with RawClient(server.url, "/record") as client:
        client.send(frame(TEXT, b"ping inline"))
        assert client.receive() == (PING, b"inline")
    assert events(server, 3)[-1] == ["close", [1006, ""], False]


def test_a_view_of_django_opens_a_socket(serve: Callable[..., Served]) -> None:
    server = serve(source=DJANGO)
    with RawClient(server.url, "/chat/") as client:
        assert client.status == 101
        assert client.headers["sec-websocket-accept"] == ACCEPT
        assert "content-length" not in client.headers
        client.send(frame(TEXT, b"hello"))
        assert client.receive() == (TEXT, b"hello")
    with RawClient(server.url, "/chat/", Sec_WebSocket_Version="8") as client:
        assert client.status == 426
    with RawClient(server.url, "/other/") as client:
        assert client.status == 404


def test_on_another_server_the_response_names_this_one() -> None:
    from ws_application import application

    environ = {
        **{"HTTP_" + name.upper().replace("-", "_"): value for name, value in HANDSHAKE.items()},
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/echo",
        "wsgi.errors": sys.stderr,
    }
    response = application.middleware[0](environ)
    assert response.status == "500 Internal Server Error"
    assert b"serve this one with tower-wsgi" in b"".join(response.content)


def test_an_application_that_does_not_respond_with_101_has_no_socket(
    serve: Callable[..., Served],
) -> None:
    server = serve(source=CHANGES_ITS_MIND)
    with RawClient(server.url, "/chat") as client:
        assert client.status == 403
        assert client.body() == "no"
    with RawClient(server.url, "/opened") as client:
        assert client.body() == "0"


ASYNCHRONOUS = """
import threading
from tower_wsgi import ws, wsgi

class Sync(ws.WS):
    def on_message(self, websocket, message):
        websocket.write(f"{message} {threading.current_thread().name}")

class Async(ws.WS):
    async def on_message(self, websocket, message):
        websocket.write(f"{message} {threading.current_thread().name}")

sockets = [ws.WebSocket("/sync", Sync()), ws.WebSocket("/async", Async())]

async def application(environ, start_response):
    for socket in sockets:
        response = socket(environ, start_response)
        if response is not None:
            return response
    start_response("404 Not Found", [])
    return []
"""

DJANGO = """
import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path
from tower_wsgi import ws

settings.configure(
    DEBUG=False, SECRET_KEY="x" * 50, ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"],
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
)
django.setup()

class Echo(ws.WS):
    def on_message(self, websocket, message):
        websocket.write(message)

echo = ws.WebSocket("/chat/", Echo())

def chat(request):
    response = echo(request.META)
    return HttpResponse(
        response.content, status=response.status_code, headers=dict(response.headers.items())
    )

urlpatterns = [path("chat/", chat)]
application = get_wsgi_application()
"""

CHANGES_ITS_MIND = """
from tower_wsgi import ws

opened = []

class Chat(ws.WS):
    def on_open(self, websocket):
        opened.append(websocket)

chat = ws.WebSocket("/chat", Chat())

def application(environ, start_response):
    if chat(environ) is not None:
        start_response("403 Forbidden", [("Content-Length", "2")])
        return [b"no"]
    start_response("200 OK", [("Content-Length", "1")])
    return [str(len(opened)).encode()]
"""


def test_at_the_end_of_a_server_on_close_is_called_with_1001(serve: Callable[..., Served]) -> None:
    server = serve(source=GOODBYE)
    clients = [RawClient(server.url, "/chat") for _ in range(20)]
    for client in clients:
        assert client.receive() == (TEXT, b"welcome")
    server.process.send_signal(signal.SIGTERM)
    for client in clients:
        assert client.receive_close()[0] == 1001
        client.send(frame(CLOSE, close_payload(1001)))
        assert client.is_ended()
        client.close()
    assert server.wait() == 0
    assert server.log.count("goodbye 1001") == 20


GOODBYE = """
import sys
from tower_wsgi import ws, wsgi

class Chat(ws.WS):
    def on_open(self, websocket):
        websocket.write("welcome")

    def on_close(self, websocket):
        print("goodbye", *websocket.close_reason, file=sys.stderr, flush=True)

application = wsgi.WsgiHandler([ws.WebSocket("/chat", Chat())])
"""
