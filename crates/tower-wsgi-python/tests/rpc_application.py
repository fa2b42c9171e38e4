"""A shop whose stock clients manage by JSON-RPC, for the tests of `tower_wsgi.rpc`."""

from __future__ import annotations

import asyncio
from typing import Any

from tower_wsgi import rpc, wsgi


class Crates(rpc.JSONRPC):
    """Below the shop."""

    def rpc_fill(self, request: Any, apples: int, crates: int = 1) -> float:
        """Divide apples among crates."""
        return apples / crates

    async def rpc_fill_later(self, request: Any, apples: int, crates: int = 1) -> float:
        await asyncio.sleep(0)
        return apples / crates


class Shop(rpc.PulsarServerCommands):
    def __init__(self) -> None:
        super().__init__({"crates": Crates()}, "Shop", "Sells fruit.")
        self.sold: list[Any] = []
        self._meeting = asyncio.Event()

    def rpc_sell(self, request: Any, stock: int, pieces: int) -> int:
        """Sell pieces of the stock."""
        return stock - pieces

    def rpc_note(self, request: Any, *pieces: int) -> None:
        self.sold += pieces

    def rpc_notes(self, request: Any) -> list[Any]:
        return self.sold

    async def rpc_sell_later(self, request: Any, stock: int, pieces: int) -> int:
        await asyncio.sleep(0)
        return stock - pieces

    async def rpc_wait_for_bell(self, request: Any) -> str:
        await self._meeting.wait()
        return "heard"

    async def rpc_ring(self, request: Any) -> str:
        self._meeting.set()
        await asyncio.sleep(0)
        self._meeting.clear()
        return "rung"

    def rpc_fail(self, request: Any) -> None:
        raise KeyError("a secret of the shop")

    async def rpc_fail_later(self, request: Any) -> None:
        await asyncio.sleep(0)
        raise KeyError("a secret of the shop")

    def rpc_nonsense(self, request: Any) -> Any:
        return object()

    def rpc_infinite(self, request: Any) -> float:
        return float("inf")

    def rpc_mixed_up(self, request: Any) -> int:
        return self.rpc_sell(request)  # type: ignore[call-arg]

    def rpc_refuse(self, request: Any, kind: str) -> None:
        errors: dict[str, Exception] = {
            "own": rpc.RpcException("sold out", 7, {"left": 0}),
            "params": rpc.InvalidParams("no such fruit"),
            "invalid": rpc.InvalidRequest(),
            "http": wsgi.PermissionDenied("not yours"),
            "unavailable": wsgi.HttpException("a secret", 503),
            "data": rpc.RpcException("sold out", data=object()),
        }
        raise errors[kind]

    def rpc_path(self, request: Any) -> str:
        return request.path

    rpc_double = rpc.rpc_method(lambda request, number: 2 * number, doc="Twice the number.")

    @rpc.rpc_method
    def half(self, request: Any, number: float) -> float:
        """Half of the number."""
        return number / 2

    rpc_server_info = None  # type: ignore[assignment]


async def enter_the_loop(environ: Any, start_response: Any) -> None:
    """The rest of the chain runs on the event loop."""


application = wsgi.WsgiHandler([Shop()])
on_the_loop = wsgi.WsgiHandler([enter_the_loop, Shop()])
