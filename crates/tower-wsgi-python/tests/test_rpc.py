"""JSON-RPC 2.0: the examples of its specification, limits, errors and hosts."""

from __future__ import annotations

import asyncio
import json
import queue
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import requests
from conftest import PATIENCE, call
from rpc_application import Crates, Shop, enter_the_loop

from tower_wsgi import rpc, wsgi
from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

HEADERS = {"Content-Type": "application/json"}
INVALID, UNKNOWN, PARAMS, INTERNAL = -32600, -32601, -32602, -32603
MESSAGES = {
    -32700: "Parse error",
    INVALID: "Invalid Request",
    UNKNOWN: "Method not found",
    PARAMS: "Invalid params",
    INTERNAL: "Internal error",
}


def result(value: object, call_id: object) -> dict[str, object]:
    return {"jsonrpc": "2.0", "result": value, "id": call_id}


def error(code: int, call_id: object = None) -> dict[str, object]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": MESSAGES[code]}, "id": call_id}


# The examples of the specification (section 7), with other data: what is sent, and what comes back.
EXAMPLES: dict[str, tuple[str, object]] = {
    "positional": (
        '{"jsonrpc": "2.0", "method": "sell", "params": [50, 8], "id": 11}',
        result(42, 11),
    ),
    "positional in another order": (
        '{"jsonrpc": "2.0", "method": "sell", "params": [8, 50], "id": 12}',
        result(-42, 12),
    ),
    "named": (
        '{"jsonrpc": "2.0", "method": "sell", "params": {"pieces": 8, "stock": 50}, "id": 13}',
        result(42, 13),
    ),
    "named in another order": (
        '{"jsonrpc": "2.0", "method": "sell", "params": {"stock": 50, "pieces": 8}, "id": 14}',
        result(42, 14),
    ),
    "a notification": ('{"jsonrpc": "2.0", "method": "note", "params": [1, 2, 3]}', None),
    "a notification without params": ('{"jsonrpc": "2.0", "method": "unknown"}', None),
    "an unknown method": (
        '{"jsonrpc": "2.0", "method": "unknown", "id": "x"}',
        error(UNKNOWN, "x"),
    ),
    "no JSON": ('{"jsonrpc": "2.0", "method": "sell, "params": "2", "x]', error(-32700)),
    "an invalid request": ('{"jsonrpc": "2.0", "method": 2, "params": "x"}', error(INVALID)),
    "a batch that is no JSON": (
        '[{"jsonrpc": "2.0", "method": "note", "params": [4], "id": "1"}, {"jsonrpc": "2.0", "m"]',
        error(-32700),
    ),
    "an empty batch": ("[]", error(INVALID)),
    "a batch of one invalid request": ("[7]", [error(INVALID)]),
    "a batch of invalid requests": ('[7, "x", null]', [error(INVALID)] * 3),
    "a batch": (
        """[
            {"jsonrpc": "2.0", "method": "crates.fill", "params": [9, 3], "id": "a"},
            {"jsonrpc": "2.0", "method": "note", "params": [7]},
            {"jsonrpc": "2.0", "method": "sell_later", "params": [50, 8], "id": "b"},
            {"fruit": "apple"},
            {"jsonrpc": "2.0", "method": "un.known", "params": {"name": "me"}, "id": "c"},
            {"jsonrpc": "2.0", "method": "echo", "params": {"message": ["x", 1]}, "id": "d"}
        ]""",
        [
            result(3.0, "a"),
            result(42, "b"),
            error(INVALID),
            error(UNKNOWN, "c"),
            result(["x", 1], "d"),
        ],
    ),
    "a batch of notifications": (
        """[
            {"jsonrpc": "2.0", "method": "note", "params": [1]},
            {"jsonrpc": "2.0", "method": "unknown", "params": [2]}
        ]""",
        None,
    ),
}


def without_data(reply: Any) -> Any:
    """A reply without the data of its errors, which the specification leaves open."""
    if isinstance(reply, list):
        return [without_data(one) for one in reply]
    if isinstance(reply, dict) and "error" in reply:
        reply["error"].pop("data", None)
    return reply


def post(url: str, body: str | bytes, **headers: str) -> Any:
    """Post a body to a server; return the JSON that comes back."""
    response = requests.post(url, body, headers={**HEADERS, **headers}, timeout=PATIENCE)
    if response.status_code == 204:
        assert response.content == b""
        assert "Content-Type" not in response.headers
        return None
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    return response.json()


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_specification(shop: LiveServer, name: str) -> None:
    sent, expected = EXAMPLES[name]
    assert without_data(post(shop.url, sent)) == expected


@pytest.mark.parametrize(
    "options",
    [
        ["rpc_application:application"],
        ["rpc_application:on_the_loop"],
        ["rpc_application:application", "--greenlet", "10"],
    ],
    ids=["pool", "loop", "greenlets"],
)
def test_the_specification_by_each_host(start: Callable[..., Served], options: list[str]) -> None:
    # Greenlets run no asynchronous methods.
    blocks = "--greenlet" in options
    command = [sys.executable, "-m", "tower_wsgi", *options, "-w", "1", "--bind", "127.0.0.1:0"]
    server = start(*command, "--chdir", Path(__file__).parent)
    for name, (sent, expected) in EXAMPLES.items():
        if blocks:
            sent = sent.replace("sell_later", "sell")
        assert without_data(post(server.url, sent)) == expected, name
    proxy = rpc.JsonProxy(server.url)
    assert proxy.crates.fill(9, 3) == 3
    if not blocks:
        # Neither runs to its end without the other.
        calls: list[Any] = [("wait_for_bell", []), ("ring", [])]
        assert proxy.batch(calls) == ["heard", "rung"]
    assert server.stop() == 0


@pytest.fixture(scope="module")
def shop() -> Any:
    """A server with the shop as its application."""
    with LiveServer(Shop()) as server:
        yield server


@pytest.fixture
def proxy(shop: LiveServer) -> rpc.JsonProxy:
    """A client of the shop."""
    return rpc.JsonProxy(shop.url)


def respond(body: object, handler: Any = None, **variables: Any) -> Any:
    """Call a handler without a server; return the JSON that comes back."""
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    environ = wsgi.test_wsgi_environ(method="POST", headers=HEADERS, body=text, **variables)
    response = call(handler or Shop(), environ)
    assert response.code in (200, 204)
    return json.loads(response.body) if response.body else None


def request(method: str, *params: object, call_id: object = 1) -> dict[str, object]:
    return {"jsonrpc": "2.0", "method": method, "params": list(params), "id": call_id}


class TestRequests:
    @pytest.mark.parametrize("call_id", ["x", "", 0, -1, 1.5, None, "\ud800", 2**70])
    def test_ids(self, call_id: object) -> None:
        assert respond(request("ping", call_id=call_id)) == result("pong", call_id)

    @pytest.mark.parametrize(
        "changed",
        [
            {"jsonrpc": "1.0"},
            {"jsonrpc": 2.0},
            {"jsonrpc": None},
            {"method": None},
            {"method": ["ping"]},
            {"params": None},
            {"params": "x"},
            {"params": 1},
        ],
        ids=str,
    )
    def test_an_invalid_request_with_an_id(self, changed: dict[str, object]) -> None:
        reply = respond({**request("ping"), **changed})
        assert reply["error"].pop("data")
        assert reply == error(INVALID, 1)

    @pytest.mark.parametrize("call_id", [True, [], {}, [1]], ids=str)
    def test_an_invalid_id(self, call_id: object) -> None:
        assert without_data(respond(request("ping", call_id=call_id))) == error(INVALID)

    @pytest.mark.parametrize(
        "body",
        [b"", b"\xff", b"{", b"nul", b"NaN", b"1e999", b'{"a": 1e999}', b"[" * 60, b'"\\'],
        ids=repr,
    )
    def test_no_json(self, body: bytes) -> None:
        assert respond(body) == error(-32700)

    def test_more_members_are_ignored(self) -> None:
        assert respond({**request("ping"), "more": 1}) == result("pong", 1)

    @pytest.mark.parametrize(
        "name",
        ["", ".", "crates", "crates.", ".ping", "rpc_ping", "__init__", "sold", "rpc.ping",
         "crates.crates.fill", "crates.ping", "server_info", "listFunctions", "pi\u00f1g"],
    )  # fmt: skip
    def test_unknown_methods(self, name: str) -> None:
        assert respond(request(name)) == error(UNKNOWN, 1)

    def test_an_error_of_a_notification_is_silent(self) -> None:
        for method in ("fail", "fail_later", "refuse", "unknown"):
            call = request(method, *(["invalid"] if method == "refuse" else []))
            del call["id"]
            with LiveServer(Shop()) as server:
                assert post(server.url, json.dumps(call)) is None

    def test_notifications_run(self, proxy: rpc.JsonProxy) -> None:
        shop = Shop()
        assert respond({"jsonrpc": "2.0", "method": "note", "params": ["x"]}, shop) is None
        assert shop.sold == ["x"]
        assert proxy.notify("note", "y") is None  # type: ignore[func-returns-value]


class TestParameters:
    @pytest.mark.parametrize(
        ("method", "params"),
        [
            ("sell", []),
            ("sell", [1]),
            ("sell", [1, 2, 3]),
            ("sell", {"stock": 1}),
            ("sell", {"stock": 1, "pieces": 1, "more": 1}),
            ("sell", {"self": 1, "stock": 1, "pieces": 1}),
            ("sell", {"request": 1, "stock": 1, "pieces": 1}),
            ("sell_later", [1]),
            ("double", []),
            ("half", {"number": 1, "self": 1}),
            ("half", {"numbers": 1}),
        ],
        ids=str,
    )
    def test_wrong_parameters(self, proxy: rpc.JsonProxy, method: str, params: Any) -> None:
        (found,) = proxy.batch([(method, params)])
        assert (found.code, found.message) == (PARAMS, "Invalid params")
        assert isinstance(found.data, str)

    def test_a_type_error_inside_of_a_method_is_internal(self) -> None:
        assert respond(request("mixed_up")) == error(INTERNAL, 1)
        assert respond(request("sell", "x", 1)) == error(INTERNAL, 1)

    def test_defaults(self, proxy: rpc.JsonProxy) -> None:
        assert proxy.crates.fill(9) == 9
        assert proxy.crates.fill(apples=9, crates=3) == 3
        assert proxy.crates.fill_later(crates=3, apples=9) == 3

    def test_rpc_method(self, proxy: rpc.JsonProxy) -> None:
        assert proxy.double(4) == 8
        assert proxy.half(4) == 2

        def named(request: Any, format: str, arguments: dict[str, Any]) -> dict[str, Any]:
            return {**arguments, "path": request.path, "format": format}

        def show(request: Any, **arguments: Any) -> Any:
            return arguments

        class Api(rpc.JSONRPC):
            rpc_show = rpc.rpc_method(show, "Shows.", "xml", named)

        assert list(Api().listFunctions()) == [("show", "Shows.")]
        call = {"jsonrpc": "2.0", "method": "show", "params": {"a": 1}, "id": 1}
        assert respond(call, Api())["result"] == {"a": 1, "path": "/", "format": "xml"}


class TestErrors:
    @pytest.mark.parametrize("method", ["fail", "fail_later", "nonsense", "infinite"])
    def test_the_client_gets_no_details(self, serve: Any, method: str) -> None:
        source = "from rpc_application import application"
        server = serve(source=source, env={"PYTHONPATH": str(Path(__file__).parent)})
        reply = post(server.url, json.dumps([request(method), request("ping", call_id=2)]))
        assert reply == [error(INTERNAL, 1), result("pong", 2)]
        expected = "a secret of the shop" if "fail" in method else "JSON"
        assert "Traceback" in server.wait_for_log("Traceback")[0]
        server.wait_for_log(expected)
        assert server.stop() == 0

    def test_errors_of_a_method(self, proxy: rpc.JsonProxy) -> None:
        calls: list[Any] = [
            ("refuse", [kind])
            for kind in ("own", "params", "invalid", "http", "unavailable", "data")
        ]
        found = [(error.code, error.message, error.data) for error in proxy.batch(calls)]
        assert found == [
            (7, "sold out", {"left": 0}),
            (PARAMS, "no such fruit", None),
            (INVALID, "Invalid Request", None),
            (403, "not yours", None),
            (INTERNAL, "Internal error", None),
            (INTERNAL, "Internal error", None),
        ]

    def test_names(self) -> None:
        for kind in (rpc.InvalidRequest, rpc.NoSuchFunction, rpc.InvalidParams, rpc.ParseError):
            assert issubclass(kind, rpc.RpcException)
        assert str(rpc.InvalidParams(data="x")) == "Invalid params: x"


class TestLimits:
    def test_batch(self) -> None:
        class Few(Shop):
            max_batch = 3

        few = Few()
        assert len(respond([request("note", 1)] * 3, few)) == 3
        reply = respond([request("note", 1)] * 4, few)
        assert reply["error"].pop("data") == "the batch has more than 3 requests"
        assert reply == error(INVALID)
        assert few.sold == [1] * 3
        assert Shop.max_batch == 100

    def test_depth(self) -> None:
        def nested(depth: int) -> bytes:
            # The request and its parameters are two levels.
            value = "[" * (depth - 2) + "]" * (depth - 2)
            return b'{"jsonrpc": "2.0", "method": "echo", "params": [%s], "id": 1}' % value.encode()

        assert "result" in respond(nested(64))
        for depth in (65, 100_000):
            reply = respond(nested(depth))
            assert reply["error"].pop("data") == "it is nested deeper than 64 levels"
            assert reply == error(INVALID)
        # Brackets in strings do not count.
        assert respond(request("echo", '["\\' * 1000))["result"] == '["\\' * 1000

    # The server leaves the file of a large body to the garbage collector.
    @pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
    def test_size(self, shop: LiveServer) -> None:
        text = json.dumps(request("echo", "x" * (1 << 20)))

        def chunks() -> Any:
            yield text.encode()

        for body in (text, chunks()):
            response = requests.post(shop.url, body, headers=HEADERS, timeout=PATIENCE)
            assert response.status_code == 413
        body = json.dumps(request("echo", "")).rjust(1 << 20)
        assert post(shop.url, body) == result("", 1)

    def test_a_reply_of_a_server(self) -> None:
        with (
            LiveServer(Shop()) as server,
            pytest.raises(rpc.RpcException, match="longer than 10 bytes"),
        ):
            rpc.JsonProxy(server.url, max_response=10).echo("x")


class TestHttp:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "OPTIONS"])
    def test_only_post(self, method: str) -> None:
        response = call(Shop(), wsgi.test_wsgi_environ(method=method))
        assert response.code == 405
        assert response.headers["allow"] == "POST"

    @pytest.mark.parametrize("media", ["application/x-www-form-urlencoded", "text/plain", None])
    def test_what_a_form_of_another_site_can_send(self, media: str | None) -> None:
        headers = {"Content-Type": media} if media else {}
        body = json.dumps(request("ping")).encode()
        environ = wsgi.test_wsgi_environ(method="POST", headers=headers, body=body)
        assert call(Shop(), environ).code == 415

    @pytest.mark.parametrize(
        "media", ["application/json; charset=utf-8", "application/json-rpc", "application/x+json"]
    )
    def test_types_of_json(self, shop: LiveServer, media: str) -> None:
        reply = post(shop.url, json.dumps(request("ping")), **{"Content-Type": media})
        assert reply == result("pong", 1)

    def test_a_path(self) -> None:
        class Api(rpc.JSONRPC):
            def rpc_path(self, request: wsgi.WsgiRequest) -> str:
                return request.path

        def page(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(content="a page")

        handler = wsgi.WsgiHandler([Api(path="rpc/ä"), page])
        with LiveServer(handler) as server:
            assert rpc.JsonProxy(f"{server.url}/rpc/%C3%A4").path() == "/rpc/ä"
            assert requests.get(server.url, timeout=PATIENCE).text == "a page"
        handler = wsgi.WsgiHandler([Api(path="/rpc")])
        assert call(handler, wsgi.test_wsgi_environ("/rpc/", "POST")).code == 404

    def test_in_a_router(self) -> None:
        def edit(environ: Any, response: wsgi.WsgiResponse) -> None:
            response["X-A"] = "1"

        router = wsgi.Router("/", wsgi.Router("rpc", post=Shop()))
        for links in ([router], [enter_the_loop, router]):
            with LiveServer(wsgi.WsgiHandler(links, [edit])) as server:
                proxy = rpc.JsonProxy(f"{server.url}/rpc")
                assert proxy.path() == "/rpc"
                assert proxy.batch([("sell", [3, 1]), ("sell_later", [3, 1])]) == [2, 2]
                assert proxy.notify("fail_later") is None  # type: ignore[func-returns-value]
                response = requests.get(f"{server.url}/rpc", timeout=PATIENCE)
                assert response.status_code == 405
                assert "POST" in response.headers["Allow"]
                assert response.headers["X-A"] == "1"

    def test_a_request_as_the_argument(self) -> None:
        body = json.dumps(request("path")).encode()
        environ = wsgi.test_wsgi_environ("/any", "POST", HEADERS, body=body)
        for argument in (wsgi.wsgi_request(environ), environ):
            response = Shop()(argument)
            assert json.loads(b"".join(response.content or ())) == result("/any", 1)  # type: ignore[arg-type]

    def test_response_middleware(self) -> None:
        def edit(environ: Any, response: wsgi.WsgiResponse) -> None:
            response["X-A"] = "1"

        for link in ([Shop()], [enter_the_loop, Shop()]):
            with LiveServer(wsgi.WsgiHandler(link, [edit])) as server:
                for method in ("sell", "sell_later"):
                    body = json.dumps(request(method, 3, 1))
                    response = requests.post(server.url, body, headers=HEADERS, timeout=PATIENCE)
                    assert response.json() == result(2, 1)
                    assert response.headers["X-A"] == "1"

    def test_an_asynchronous_reply_that_is_not_awaited(self) -> None:
        body = json.dumps([request("sell_later", 3, 1), request("ping")]).encode()
        environ = wsgi.test_wsgi_environ("/", "POST", HEADERS, body=body)
        # Python warns of a coroutine that is never awaited, and warnings are errors.
        Shop()(environ).close()

    def test_a_client_that_leaves_cancels_asynchronous_methods(self) -> None:
        events: queue.Queue[str] = queue.Queue()

        class Api(rpc.JSONRPC):
            async def rpc_wait(self, request: Any) -> None:
                try:
                    events.put("began")
                    await asyncio.Event().wait()
                finally:
                    events.put("ended")

        body = json.dumps([request("wait"), request("wait", call_id=2)])
        head = "POST / HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\n"
        with LiveServer(Api()) as server:
            address = urlsplit(server.url)
            with socket.create_connection((address.hostname, address.port)) as client:
                client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n{body}".encode())
                assert [events.get(timeout=PATIENCE) for _ in range(2)] == ["began"] * 2
                # A reset, because a client may close its sending side and still read.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            assert [events.get(timeout=PATIENCE) for _ in range(2)] == ["ended"] * 2


class TestHandlers:
    def test_the_tree(self) -> None:
        shop, crates = Shop(), Crates()
        assert shop.putSubHandler("more", crates) is shop
        assert shop.getSubHandler("more") is crates
        assert shop.getSubHandler("none") is None
        assert list(shop.subHandlers) == ["crates", "more"]
        for prefix in ("", "a.b"):
            with pytest.raises(ValueError, match="no dot"):
                shop.putSubHandler(prefix, crates)
        with pytest.raises(TypeError, match="RpcHandler"):
            shop.putSubHandler("x", object())  # type: ignore[arg-type]
        for handler in (shop, Crates().putSubHandler("shop", shop)):
            with pytest.raises(ValueError, match="below itself"):
                shop.putSubHandler("x", handler)

    def test_without_the_constructor_of_the_base(self) -> None:
        class Api(rpc.JSONRPC):
            def __init__(self) -> None:
                pass

        assert respond(request("a.ping"), Api().putSubHandler("a", Shop()))["result"] == "pong"

    def test_commands(self, proxy: rpc.JsonProxy) -> None:
        assert proxy.ping() == "pong"
        assert proxy.echo() == ""
        functions = dict(proxy.functions_list())
        assert functions["sell"] == "Sell pieces of the stock."
        assert functions["crates.fill"] == "Divide apples among crates."
        assert "half" in functions
        assert "server_info" not in functions
        documentation = proxy.documentation()
        assert documentation.startswith("Shop\n\nSells fruit.\n\n")
        assert "sell\nSell pieces of the stock." in documentation
        with LiveServer(rpc.PulsarServerCommands()) as server:
            info = rpc.JsonProxy(server.url).server_info()["server"]
        assert set(info) == {"name", "version", "python_version", "process_id"}


class TestProxy:
    def test_calls(self, proxy: rpc.JsonProxy) -> None:
        assert proxy("crates.fill", 9, 3) == 3
        assert proxy.batch([]) == []
        assert [str(found) for found in proxy.batch([("ping", []), ("none", [])])] == [
            "pong",
            "Method not found",
        ]
        with pytest.raises(rpc.NoSuchFunction, match="Method not found") as raised:
            proxy.none()
        assert raised.value.code == UNKNOWN
        with pytest.raises(TypeError, match="not both"):
            proxy.sell(1, pieces=1)
        with pytest.raises(AttributeError):
            proxy.__len__()

    def test_what_is_wrong_with_a_server(self) -> None:
        bodies: list[Any] = []

        def odd(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            status, content = bodies.pop()
            return wsgi.WsgiResponse(status, content)

        with LiveServer(wsgi.WsgiHandler([odd])) as server:
            proxy = rpc.JsonProxy(server.url)
            for content in (
                "<html>",
                "[]",
                "{}",
                '{"id": 99, "result": 1}',
                '{"error": {"code": []}}',
                "[" * 100_000,
            ):
                bodies.append((200, content))
                with pytest.raises(rpc.RpcException, match="not one of JSON-RPC"):
                    proxy.ping()
            bodies.append((503, ""))
            with pytest.raises(rpc.RpcException) as raised:
                proxy.ping()
            assert raised.value.code == 503
            bodies.append((200, "{}"))
            with pytest.raises(rpc.RpcException, match="not one of JSON-RPC"):
                proxy.batch([("ping", [])])
        with pytest.raises(OSError):
            proxy.ping()

    def test_urls(self) -> None:
        for url in ("ftp://x", "http://", "x"):
            with pytest.raises(ValueError, match="URL"):
                rpc.JsonProxy(url)
