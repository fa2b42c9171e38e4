"""One call of an application whose response is edited by response middleware.

An application may call ``start_response`` as late as with the first piece of its body, may call it
again after an error while nothing has been sent, and may send its body by ``write`` (PEP 3333). So
the middleware is called at the last moment at which the whole response can still be edited.

If the application or a middleware is asynchronous, what the server gets is an awaitable, or a piece
that is one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from tower_wsgi.wsgi.awaitables import (
    Later,
    Pieces,
    aclose,
    close,
    is_async_iterable,
    is_awaitable,
    resolve,
)
from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        Awaitable,
        Callable,
        Iterable,
        Iterator,
        Sequence,
    )

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    Edited = WsgiResponse | None
    ResponseMiddleware = Callable[[WSGIEnvironment, WsgiResponse], Edited | Awaitable[Edited]]


class Exchange:
    """The ``start_response`` of an application, between it and that of the server."""

    def __init__(
        self,
        environ: WSGIEnvironment,
        start_response: StartResponse,
        middleware: Sequence[ResponseMiddleware],
    ) -> None:
        self._environ = environ
        self._start_response = start_response
        self._middleware = middleware
        self._started = False
        # The last status and headers of the application, until the server's function is called.
        self._head: tuple[str, list[tuple[str, str]], OptExcInfo | None] | None = None
        self._write: Callable[[bytes], object] | None = None
        # Whether a piece of the body has been sent. Then nothing can be edited any more.
        self.flowing = False

    def __getattr__(self, name: str) -> object:
        # `start_response.__self__` is this object, which has what the server's has.
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._start_response.__self__, name)  # type: ignore[attr-defined]

    def write(self, data: bytes, force: bool = False) -> object:
        """Send a piece of the body, as the function that `start_response` returns."""
        if not self._started:
            raise RuntimeError("nothing can be written before start_response is called")
        return self._send(data, force)

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Callable[[bytes], object]:
        """The ``start_response`` for the application."""
        if not exc_info:
            if self._started:
                raise AssertionError("start_response was called again without exc_info")
        elif self.flowing and exc_info[1] is not None:
            try:
                raise exc_info[1]
            finally:
                # Its traceback refers to this frame, which would be a reference cycle.
                exc_info = None
        self._started = True
        self._head = status, headers, exc_info
        return self._send

    @property
    def pending(self) -> bool:
        """Whether the application has started a response, and the server has not."""
        return self._head is not None

    def respond(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """Return the body for the server: the application's ``result``, edited."""
        if self.pending and self._is_passive(result):
            content = self.start(result)
            if isinstance(content, Later):
                later = self._respond_edited(content, result)
                return Later(later, content, result)  # type: ignore[return-value]
            return self._body(content, result)
        if is_awaitable(result):
            return Later(self._respond_later(result), result)  # type: ignore[return-value]
        if is_async_iterable(result):
            return _LateStream(self, result)  # type: ignore[arg-type, return-value]
        return _LateBody(self, result)

    async def _respond_later(self, result: object) -> Iterable[bytes]:
        result = await resolve(result)
        try:
            body = self.respond(result)  # type: ignore[arg-type]
        except BaseException:
            close(result)
            raise
        return await resolve(body)

    async def _respond_edited(
        self, content: Later[Iterable[bytes]], result: Iterable[bytes]
    ) -> Iterable[bytes]:
        try:
            return self._body(await content, result)
        except BaseException:
            close(result)
            raise

    def _body(self, content: Iterable[bytes], result: Iterable[bytes]) -> Iterable[bytes]:
        # A list has no `close`, and a file wrapper must reach the server unchanged.
        if content is result or _is_list(result):
            return content
        return _Body(content, result)

    def start(self, content: Iterable[bytes] | None) -> Iterable[bytes] | Later[Iterable[bytes]]:
        """Let the middleware edit the response, and call the server's ``start_response``.

        The result is the content, or `Later` with it, if a middleware is asynchronous.
        """
        assert self._head is not None  # noqa: S101 -- the callers look at `pending`
        status, headers, exc_info = self._head
        self._head = None
        response = WsgiResponse(status, (), headers)
        response.content = content
        links = iter(self._middleware)
        for middleware in links:
            edited = middleware(self._environ, response) or response
            if not isinstance(edited, WsgiResponse):
                if is_awaitable(edited):
                    later = self._start_later(edited, links, response, content, exc_info)
                    return Later(later, edited)
                _refuse(edited)
            response = edited
        return self._begin(response, content, exc_info)

    async def _start_later(
        self,
        edited: object,
        links: Iterator[ResponseMiddleware],
        response: WsgiResponse,
        content: Iterable[bytes] | None,
        exc_info: OptExcInfo | None,
    ) -> Iterable[bytes]:
        while True:
            edited = await resolve(edited) or response
            if not isinstance(edited, WsgiResponse):
                _refuse(edited)
            response = edited
            middleware = next(links, None)
            if middleware is None:
                return self._begin(response, content, exc_info)
            edited = middleware(self._environ, response)

    def _begin(
        self,
        response: WsgiResponse,
        content: Iterable[bytes] | None,
        exc_info: OptExcInfo | None,
    ) -> Iterable[bytes]:
        if content is None and response.content is not None:
            raise RuntimeError(
                "the application sends its body by write(): response middleware can edit its "
                "headers, but not its content"
            )
        start_response = self._start_response
        headers = response.get_headers()
        try:
            if exc_info is None:
                self._write = start_response(response.status, headers)
            else:
                self._write = start_response(response.status, headers, exc_info)
        finally:
            exc_info = None
        return () if response.content is None else response.content

    def _send(self, data: bytes, /, force: bool = False) -> object:
        if self.pending:
            content = self.start(None)
            if isinstance(content, Later):
                content.close()
                raise RuntimeError(
                    "the application sends its body by write(): asynchronous response middleware "
                    "cannot edit it; return the body"
                )
        assert self._write is not None  # noqa: S101 -- the application has it from `start_response`
        self.flowing = True
        # On the event loop it is an awaitable if the client reads slowly.
        return self._write(data)

    def _is_passive(self, result: Iterable[bytes]) -> bool:
        """Whether iterating over ``result`` runs no code of the application."""
        file_wrapper = self._environ.get("wsgi.file_wrapper")
        is_file = isinstance(file_wrapper, type) and isinstance(result, file_wrapper)
        return is_file or _is_list(result)


class _Body:
    """An edited body, which also closes the application's."""

    def __init__(self, content: Iterable[bytes], result: Iterable[bytes]) -> None:
        self._chunks = iter(content)
        self._content = content
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        _close_both(self._content, self._result)


class _LateBody:
    """The body of an application that may still call ``start_response``."""

    def __init__(self, exchange: Exchange, result: Iterable[bytes]) -> None:
        self._exchange = exchange
        self._result = result
        self._source = _Source(result)
        self._content: Iterable[bytes] | None = None
        self._edited: Iterator[bytes] | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._edited is not None:
            return next(self._edited)
        chunk = next(self._source, None)
        if chunk is not None and is_awaitable(chunk):
            return Later(self._next_later(chunk), chunk)  # type: ignore[return-value]
        if self._exchange.pending:
            content = self._start(chunk)
            if isinstance(content, Later):
                return Later(self._edited_later(content, chunk), content)  # type: ignore[return-value]
            self._content = content
        if self._sends_nothing(chunk):
            if chunk is None:
                raise StopIteration
            return chunk
        return next(self._begin(chunk))

    async def _next_later(self, chunk: object) -> bytes:
        chunk = await resolve(chunk)
        if not isinstance(chunk, bytes):
            return chunk  # type: ignore[return-value] # the server reports it
        content = self._start(chunk) if self._exchange.pending else self._content
        return await self._edited_later(content, chunk)

    async def _edited_later(
        self, content: Iterable[bytes] | Later[Iterable[bytes]] | None, chunk: bytes | None
    ) -> bytes:
        self._content = await resolve(content)
        if self._sends_nothing(chunk):
            return chunk or b""
        # At the end, an empty piece: only the next call can raise `StopIteration`.
        return await resolve(next(self._begin(chunk), b""))

    def _start(self, chunk: bytes | None) -> Iterable[bytes] | Later[Iterable[bytes]]:
        return self._exchange.start(self._source if chunk is not None else [])

    def _sends_nothing(self, chunk: bytes | None) -> bool:
        # The application sends its body by `write`, or has nothing to send yet, or has not
        # started a response, which is an error that the server reports.
        return self._content is None or chunk == b""

    def _begin(self, chunk: bytes | None) -> Iterator[bytes]:
        self._exchange.flowing = True
        self._source.first = chunk
        assert self._content is not None  # noqa: S101 -- see `_sends_nothing`
        self._edited = iter(self._content)
        return self._edited

    def close(self) -> None:
        _close_both(self._content, self._result)


class _Source:
    """The application's chunks, after ``first``."""

    def __init__(self, result: Iterable[bytes]) -> None:
        self._result = result
        self._chunks: Iterator[bytes] | None = None
        self.first: bytes | None = None

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self.first is not None:
            first, self.first = self.first, None
            return first
        if self._chunks is None:
            self._chunks = iter(self._result)
        return next(self._chunks)


class _LateStream:
    """As `_LateBody`, for an application that is iterated over asynchronously."""

    def __init__(self, exchange: Exchange, result: AsyncIterable[bytes]) -> None:
        self._exchange = exchange
        self._result = result
        self._source = _StreamSource(result)
        self._content: object = None
        self._edited: Pieces | None = None

    def __aiter__(self) -> _LateStream:
        return self

    async def __anext__(self) -> bytes:
        if self._edited is not None:
            return await self._edited.__anext__()
        chunk = await anext(self._source, None)
        exchange = self._exchange
        if exchange.pending:
            content: object = self._source if chunk is not None else []
            self._content = await resolve(exchange.start(content))  # type: ignore[arg-type]
        if self._content is None or chunk == b"":
            if chunk is None:
                raise StopAsyncIteration
            return chunk
        exchange.flowing = True
        self._source.first = chunk
        self._edited = Pieces(self._content)  # type: ignore[arg-type]
        return await self._edited.__anext__()

    async def aclose(self) -> None:
        try:
            if self._content is not self._source:
                await aclose(self._content)
        finally:
            await aclose(self._result)


class _StreamSource:
    """The application's pieces, after ``first``."""

    def __init__(self, result: AsyncIterable[bytes]) -> None:
        self._result = result
        self._pieces: Pieces | None = None
        self.first: bytes | None = None

    def __aiter__(self) -> _StreamSource:
        return self

    async def __anext__(self) -> bytes:
        if self.first is not None:
            first, self.first = self.first, None
            return first
        if self._pieces is None:
            self._pieces = Pieces(self._result)
        return await self._pieces.__anext__()


def _refuse(edited: object) -> NoReturn:
    close(edited)
    raise TypeError(
        f"a response middleware returned {type(edited).__name__}: it must return a WsgiResponse or "
        "None"
    )


def _close_both(content: Iterable[bytes] | None, result: Iterable[bytes]) -> None:
    try:
        if content is not result:
            close(content)
    finally:
        close(result)


def _is_list(result: Iterable[bytes]) -> bool:
    return type(result) in (list, tuple)
