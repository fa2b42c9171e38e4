"""One call of an application whose response is edited before it leaves.

An application may start its response as late as with the first piece of its body, may start it
anew after an error while nothing was sent, and may push its body into the server (PEP 3333). So
the response goes to the middleware at the last moment at which all of it can still be edited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tower_wsgi.wsgi.response import WsgiResponse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from _typeshed import OptExcInfo
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

    ResponseMiddleware = Callable[[WSGIEnvironment, WsgiResponse], WsgiResponse | None]


class Exchange:
    """Stands between an application and the server's ``start_response``."""

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
        # What the application said last, until the server is told.
        self._head: tuple[str, list[tuple[str, str]], OptExcInfo | None] | None = None
        self._write: Callable[[bytes], object] | None = None
        # Whether a piece of the body went to the server: from then on nothing can be edited.
        self.flowing = False

    def start_response(
        self,
        status: str,
        headers: list[tuple[str, str]],
        exc_info: OptExcInfo | None = None,
    ) -> Callable[[bytes], object]:
        """What the application gets in place of the server's function."""
        if not exc_info:
            if self._started:
                raise AssertionError("start_response was called again without an exc_info")
        elif self.flowing and exc_info[1] is not None:
            try:
                raise exc_info[1]
            finally:
                # The traceback in it refers to this frame.
                exc_info = None
        self._started = True
        self._head = status, headers, exc_info
        return self._push

    @property
    def pending(self) -> bool:
        """Whether the application has started a response of which the server does not know."""
        return self._head is not None

    def respond(self, result: Iterable[bytes]) -> Iterable[bytes]:
        """Give what the server is to iterate: the application's ``result``, edited."""
        if not (self.pending and self._runs_no_code(result)):
            return _LateBody(self, result)
        content = self.hand_on(result)
        # A list has nothing to close, and the server knows best what to do with a file.
        return content if content is result or _is_list(result) else _Body(content, result)

    def hand_on(self, content: Iterable[bytes] | None) -> Iterable[bytes]:
        """Let the middleware edit the response, and start it."""
        assert self._head is not None  # noqa: S101 -- the callers look at `pending`
        status, headers, exc_info = self._head
        self._head = None
        response = WsgiResponse(status, (), headers)
        response.content = content
        for middleware in self._middleware:
            edited = middleware(self._environ, response) or response
            if not isinstance(edited, WsgiResponse):
                close(edited)
                raise TypeError(
                    f"a response middleware returned {type(edited).__name__}: it returns a "
                    "WsgiResponse, or None"
                )
            response = edited
        if content is None and response.content is not None:
            raise RuntimeError(
                "the application pushes its body into the server: response middleware can edit "
                "its headers, but not its content"
            )
        start = self._start_response
        try:
            if exc_info is None:
                self._write = start(response.status, response.headers.items())
            else:
                self._write = start(response.status, response.headers.items(), exc_info)
        finally:
            exc_info = None
        return () if response.content is None else response.content

    def _push(self, data: bytes, /, force: bool = False) -> None:
        if self.pending:
            self.hand_on(None)
        assert self._write is not None  # noqa: S101 -- the application has it from `start_response`
        self.flowing = True
        self._write(data)

    def _runs_no_code(self, result: Iterable[bytes]) -> bool:
        """Whether iterating ``result`` can start no response."""
        file_wrapper = self._environ.get("wsgi.file_wrapper")
        is_file = isinstance(file_wrapper, type) and isinstance(result, file_wrapper)
        return is_file or _is_list(result)


class _Body:
    """An edited body, and the application's, which must be closed, too."""

    def __init__(self, content: Iterable[bytes], result: Iterable[bytes]) -> None:
        self._chunks = iter(content)
        self._content = content
        self._result = result

    def __iter__(self) -> Iterator[bytes]:
        return self._chunks

    def close(self) -> None:
        _close_both(self._content, self._result)


class _LateBody:
    """The body of an application that can still start its response."""

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
        exchange = self._exchange
        if exchange.pending:
            self._content = exchange.hand_on(self._source if chunk is not None else [])
        if self._content is None or chunk == b"":
            # The application has pushed its body, or has not started a response, which the
            # server complains about, or it has nothing to send yet.
            if chunk is None:
                raise StopIteration
            return chunk
        exchange.flowing = True
        self._source.first = chunk
        self._edited = iter(self._content)
        return next(self._edited)

    def close(self) -> None:
        _close_both(self._content, self._result)


class _Source:
    """The application's chunks; ``first`` goes before them."""

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


def close(chunks: Iterable[bytes] | None) -> None:
    """Close what an application has returned, if it can be closed."""
    if (method := getattr(chunks, "close", None)) is not None:
        method()


def _close_both(content: Iterable[bytes] | None, result: Iterable[bytes]) -> None:
    try:
        if content is not result:
            close(content)
    finally:
        close(result)


def _is_list(result: Iterable[bytes]) -> bool:
    return type(result) in (list, tuple)
