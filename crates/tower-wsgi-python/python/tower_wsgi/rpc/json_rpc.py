"""`JSONRPC`: requests of JSON-RPC 2.0 over HTTP."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any, overload

from tower_wsgi.rpc.errors import InternalError, InvalidRequest, ParseError, RpcException
from tower_wsgi.rpc.handler import RpcHandler, call_method
from tower_wsgi.wsgi.awaitables import Later, close, is_awaitable, resolve
from tower_wsgi.wsgi.body import exceeds_depth, is_json, media_type, parse_json, read_body
from tower_wsgi.wsgi.error_page import error_page, log_exception
from tower_wsgi.wsgi.errors import BadRequest, HttpException, MethodNotAllowed, Unsupported
from tower_wsgi.wsgi.request import WsgiRequest, wsgi_request
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    Reply = str | None
    """The JSON text of a response, or ``None`` for a notification."""

_MEDIA_TYPES = ("application/json-rpc", "application/jsonrequest")
_NO_ID = object()


class JSONRPC(RpcHandler):
    """Serves the methods of an `RpcHandler` by JSON-RPC 2.0, to clients that ``POST`` JSON.

    It is a middleware for `WsgiHandler`, a WSGI application, and a handler of a `Router`
    (``Router("/", post=handler)``). ``path`` is the only path that it serves as a middleware: the
    next one gets the requests for others. Without it, it serves all paths.

    A request gets status 200, also if its method fails: the error is in the response. Where nothing
    is to be sent, because there were notifications only, the status is 204. Another method of HTTP
    than ``POST`` gets 405, another type of body than JSON 415.

    The calls of a batch are made in order; those that are asynchronous then run concurrently on the
    event loop of the process. The responses have the order of the calls. A notification is run to
    its end before the response, and its error is only logged. Under ``--greenlet`` there is no
    event loop: methods must not be asynchronous there.

    A method raises `RpcException` for an error that the client gets; an `HttpException` with a
    status below 500 is an error with that code. With any other exception the client gets -32603
    without details, and the log the traceback.
    """

    max_size = 1 << 20
    """The most bytes of a request. A larger one gets status 413."""

    max_batch = 100
    """The most calls in a batch; so the most that run concurrently for one request. A larger batch
    gets the error -32600, and nothing of it is called."""

    max_depth = 64
    """How deep arrays and objects of a request may be nested, its own included. A deeper one gets
    the error -32600."""

    path: str | None = None

    def __init__(
        self,
        subhandlers: Mapping[str, RpcHandler] | None = None,
        title: str | None = None,
        documentation: str | None = None,
        *,
        path: str | None = None,
    ) -> None:
        super().__init__(subhandlers, title, documentation)
        if path is not None:
            self.path = "/" + path.lstrip("/")

    @overload
    def __call__(self, request: WsgiRequest | WSGIEnvironment) -> WsgiResponse: ...
    @overload
    def __call__(
        self, request: WSGIEnvironment, start_response: StartResponse
    ) -> Iterable[bytes] | None: ...
    def __call__(
        self,
        request: WsgiRequest | WSGIEnvironment,
        start_response: StartResponse | None = None,
    ) -> WsgiResponse | Iterable[bytes] | None:
        """Respond to a request, or pass it on if it is for another path.

        If a method is asynchronous, the result is an awaitable, which only this server takes.
        """
        if isinstance(request, dict):
            request = wsgi_request(request)
        environ = request.environ
        if start_response is not None and self.path not in (None, request.path):
            return None
        try:
            response = self._respond(request)
        except HttpException as error:
            response = error_page(environ, error)
        if isinstance(response, WsgiResponse):
            return response if start_response is None else response(environ, start_response)
        later = _send_later(response, environ, start_response)
        return Later(later, response)  # type: ignore[return-value]

    def _respond(self, request: WsgiRequest) -> WsgiResponse | Later[WsgiResponse]:
        environ = request.environ
        if environ["REQUEST_METHOD"] != "POST":
            raise MethodNotAllowed("JSON-RPC needs POST.", headers=[("Allow", "POST")])
        media = media_type(environ)
        if not is_json(media) and media not in _MEDIA_TYPES:
            # It also keeps forms of other sites away, which browsers send without asking.
            raise Unsupported("The body of the request must be JSON.")
        body = read_body(environ, self.max_size)
        try:
            message = self._parse(body)
        except RpcException as error:
            return _response(_error(error, None))
        if not isinstance(message, list):
            reply = self._reply(request, message)
            if isinstance(reply, Later):
                return Later(_respond_to_one(reply), reply)
            return _response(reply)
        replies: list[Reply | Later[Reply]] = []
        try:
            for call in message:
                replies.append(self._reply(request, call))
        except BaseException:
            _close_all(replies)
            raise
        if any(isinstance(reply, Later) for reply in replies):
            return Later(_respond_to_batch(replies), _All(replies))
        return _batch_response(replies)  # type: ignore[arg-type]

    def _parse(self, body: bytes) -> Any:  # noqa: ANN401 -- any JSON value
        if exceeds_depth(body, self.max_depth):
            raise InvalidRequest(data=f"it is nested deeper than {self.max_depth} levels")
        try:
            message = parse_json(body, self.max_depth)
        except BadRequest:
            raise ParseError from None
        if message == []:
            raise InvalidRequest(data="the batch is empty")
        if isinstance(message, list) and len(message) > self.max_batch:
            raise InvalidRequest(data=f"the batch has more than {self.max_batch} requests")
        return message

    def _reply(self, request: WsgiRequest, call: object) -> Reply | Later[Reply]:
        """Make one call. The reply is `Later` if the method is asynchronous."""
        try:
            method, params, call_id = _check(call)
        except InvalidRequest as error:
            return _error(error, _valid_id(call))
        try:
            result = call_method(self.get_method(method), request, params)
            if is_awaitable(result):
                later = _reply_later(result, request.environ, call_id)  # type: ignore[arg-type]
                return Later(later, result)
            return _result(result, call_id)
        except Exception as error:  # noqa: BLE001 -- the client gets a response in any case
            return _failure(error, request.environ, call_id)


def _check(call: object) -> tuple[str, list[Any] | dict[str, Any], object]:
    """Return the method, the parameters and the id of a request."""
    if not isinstance(call, dict):
        raise InvalidRequest(data="it is not an object")
    if call.get("jsonrpc") != "2.0":
        raise InvalidRequest(data='the member "jsonrpc" must be "2.0"')
    method, params, call_id = call.get("method"), call.get("params", []), call.get("id", _NO_ID)
    if not isinstance(method, str):
        raise InvalidRequest(data='the member "method" must be a string')
    if not isinstance(params, (list, dict)):
        raise InvalidRequest(data='the member "params" must be an array or an object')
    if call_id is not _NO_ID and not _is_id(call_id):
        raise InvalidRequest(data='the member "id" must be a string, a number or null')
    return method, params, call_id


def _valid_id(call: object) -> object:
    """Return the id of an invalid request, or ``None`` if it has none that is valid.

    Without a valid request it is unknown whether this is a notification: it gets a response.
    """
    found = call.get("id") if isinstance(call, dict) else None
    return found if _is_id(found) else None


def _is_id(value: object) -> bool:
    return value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool))


async def _reply_later(
    result: Awaitable[object], environ: WSGIEnvironment, call_id: object
) -> Reply:
    try:
        return _result(await resolve(result), call_id)
    except Exception as error:  # noqa: BLE001
        return _failure(error, environ, call_id)


def _result(result: object, call_id: object) -> Reply:
    if call_id is _NO_ID:
        return None
    return _text({"jsonrpc": "2.0", "result": result, "id": call_id})


def _failure(error: Exception, environ: WSGIEnvironment, call_id: object) -> Reply:
    if isinstance(error, HttpException) and 400 <= error.status < 500:
        error = RpcException(str(error) or type(error).__name__, error.status)
    elif not isinstance(error, RpcException):
        log_exception(environ, error)
        error = InternalError()
    if call_id is _NO_ID:
        return None
    try:
        return _error(error, call_id)
    except (TypeError, ValueError, RecursionError) as invalid:
        # Its data is not JSON.
        log_exception(environ, invalid)
        return _error(InternalError(), call_id)


def _error(error: RpcException, call_id: object) -> str:
    return _text({"jsonrpc": "2.0", "error": error.error_object(), "id": call_id})


def _text(message: dict[str, object]) -> str:
    return json.dumps(message, allow_nan=False, separators=(",", ":"))


async def _send_later(
    response: Later[WsgiResponse],
    environ: WSGIEnvironment,
    start_response: StartResponse | None,
) -> WsgiResponse | Iterable[bytes]:
    sent = await response
    return sent if start_response is None else sent(environ, start_response)


async def _respond_to_one(reply: Later[Reply]) -> WsgiResponse:
    return _response(await reply)


async def _respond_to_batch(replies: list[Reply | Later[Reply]]) -> WsgiResponse:
    return _batch_response(await asyncio.gather(*map(resolve, replies)))


def _batch_response(replies: list[Reply]) -> WsgiResponse:
    texts = [reply for reply in replies if reply is not None]
    return _response(f"[{','.join(texts)}]" if texts else None)


def _response(reply: Reply) -> WsgiResponse:
    if reply is None:
        return WsgiResponse(204)
    return WsgiResponse(200, reply, content_type="application/json")


class _All:
    """The replies of a batch, to be closed if they are not awaited."""

    def __init__(self, replies: list[Reply | Later[Reply]]) -> None:
        self._replies = replies

    def close(self) -> None:
        _close_all(self._replies)


def _close_all(replies: list[Reply | Later[Reply]]) -> None:
    for reply in replies:
        close(reply)
