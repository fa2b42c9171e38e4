"""`JsonProxy`: a small client for JSON-RPC."""

from __future__ import annotations

import http.client
import itertools
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tower_wsgi.rpc.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    NoSuchFunction,
    ParseError,
    RpcException,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    Params = list[Any] | tuple[Any, ...] | dict[str, Any]

_KINDS: dict[int, type[RpcException]] = {
    kind.code: kind
    for kind in (ParseError, InvalidRequest, NoSuchFunction, InvalidParams, InternalError)
}


class JsonProxy:
    """The methods of a server, as methods of an object.

    ::

        server = rpc.JsonProxy("http://127.0.0.1:8060/rpc")
        server.ping()
        server.calc.add(3, 4)
        server.calc.add(a=3, b=4)

    A call blocks until the response is there, and raises `RpcException`, or the subclass for the
    code, with the code, the message and the data of an error; with the status of HTTP as its code
    if that is not 200. It raises
    `OSError` if there is no connection, or no data for ``timeout`` seconds. A response has at
    most ``max_response`` bytes. Each call has a connection of its own; a proxy may be used by many
    threads.
    """

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 30,
        headers: Mapping[str, str] | None = None,
        max_response: int = 16 << 20,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"{url!r} is not the URL of a server: it must begin with http(s)://")
        self._secure = parts.scheme == "https"
        self._host = parts.hostname
        self._port = parts.port
        self._target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._timeout = timeout
        self._headers = {"Content-Type": "application/json", **(headers or {})}
        self._max_response = max_response
        self._ids = itertools.count(1)

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self, name)

    def __call__(self, method: str, /, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        """Call the method with this name, which may be any text."""
        call_id = next(self._ids)
        reply = self._send(_call(method, _params(args, kwargs), id=call_id))
        if not isinstance(reply, dict) or reply.get("id") not in (call_id, None):
            raise _no_response()
        return _outcome(reply)

    def notify(self, method: str, /, *args: object, **kwargs: object) -> None:
        """Send a notification: neither a result nor an error comes back."""
        self._send(_call(method, _params(args, kwargs)))

    def batch(self, calls: Iterable[tuple[str, Params]]) -> list[Any]:
        """Make several calls, each a name and its parameters, by one request.

        Returns their results in order; that of a call that failed is an `RpcException`.
        """
        requests = [_call(method, params, id=next(self._ids)) for method, params in calls]
        if not requests:
            return []
        replies = self._send(requests)
        if not isinstance(replies, list):
            # Of the batch as a whole.
            _outcome(replies)
            raise _no_response()
        found = {reply.get("id"): reply for reply in replies if isinstance(reply, dict)}
        return [_outcome_or_error(found.get(request["id"])) for request in requests]

    def _send(self, message: object) -> Any:  # noqa: ANN401
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._timeout)
        try:
            connection.request("POST", self._target, json.dumps(message).encode(), self._headers)
            response = connection.getresponse()
            body = response.read(self._max_response + 1)
        except http.client.HTTPException as error:
            raise RpcException(f"the server's response is not HTTP: {error}") from error
        finally:
            connection.close()
        if len(body) > self._max_response:
            raise RpcException(f"the response is longer than {self._max_response} bytes")
        if response.status == 204:
            return None
        if response.status != 200:
            raise RpcException(f"{response.status} {response.reason}", response.status)
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise _no_response() from None


class _Method:
    def __init__(self, proxy: JsonProxy, name: str) -> None:
        self._proxy = proxy
        self._name = name

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(self._proxy, f"{self._name}.{name}")

    def __call__(self, *args: object, **kwargs: object) -> Any:  # noqa: ANN401
        return self._proxy(self._name, *args, **kwargs)


def _params(args: tuple[object, ...], kwargs: dict[str, object]) -> Params:
    if args and kwargs:
        raise TypeError("JSON-RPC has parameters by position or by name, not both")
    return kwargs or args


def _call(method: str, params: Params, **call_id: int) -> dict[str, Any]:
    # Without parameters the member is left out.
    members = {"params": params} if params else {}
    return {"jsonrpc": "2.0", "method": method, **members, **call_id}


def _outcome(reply: object) -> Any:  # noqa: ANN401
    outcome = _outcome_or_error(reply)
    if isinstance(outcome, RpcException):
        raise outcome
    return outcome


def _outcome_or_error(reply: object) -> Any:  # noqa: ANN401
    if isinstance(reply, dict):
        if "result" in reply:
            return reply["result"]
        error = reply.get("error")
        if isinstance(error, dict):
            code = error.get("code")
            if not isinstance(code, int):
                return _no_response()
            return _KINDS.get(code, RpcException)(
                str(error.get("message")), code, error.get("data")
            )
    return _no_response()


def _no_response() -> RpcException:
    return RpcException("the server's response is not one of JSON-RPC 2.0")
