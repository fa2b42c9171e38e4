"""One call of an application whose response is edited by response middleware.

An application may call ``start_response`` as late as with the first piece of its body, may call it
again after an error while nothing has been sent, and may send its body by ``write`` (PEP 3333). So
the middleware is called at the last moment at which the whole response can still be edited.
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
        if not (self.pending and self._is_passive(result)):
            return _LateBody(self, result)
        content = self.start(result)
        # A list has no `close`, and a file wrapper must reach the server unchanged.
        return content if content is result or _is_list(result) else _Body(content, result)

    def start(self, content: Iterable[bytes] | None) -> Iterable[bytes]:
        """Let the middleware edit the response, and call the server's ``start_response``."""
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
                    f"a response middleware returned {type(edited).__name__}: it must return a "
                    "WsgiResponse or None"
                )
            response = edited
        if content is None and response.content is not None:
            raise RuntimeError(
                "the application sends its body by write(): response middleware can edit its "
                "headers, but not its content"
            )
        start_response = self._start_response
        headers = response.headers.items()
        try:
            if exc_info is None:
                self._write = start_response(response.status, headers)
            else:
                self._write = start_response(response.status, headers, exc_info)
        finally:
            exc_info = None
        return () if response.content is None else response.content

    def _send(self, data: bytes, /, force: bool = False) -> None:
        if self.pending:
            self.start(None)
        assert self._write is not None  # noqa: S101 -- the application has it from `start_response`
        self.flowing = True
        self._write(data)

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
        exchange = self._exchange
        if exchange.pending:
            self._content = exchange.start(self._source if chunk is not None else [])
        if self._content is None or chunk == b"":
            # The application sends its body by `write`, or has nothing to send yet, or has not
            # started a response, which is an error that the server reports.
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


def close(chunks: Iterable[bytes] | None) -> None:
    """Call the ``close`` of an iterable, if it has one."""
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
