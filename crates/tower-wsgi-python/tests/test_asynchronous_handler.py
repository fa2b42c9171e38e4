"""`WsgiHandler` with asynchronous middleware, driven as the server's event loop drives it."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import gzip
import io
import threading
from typing import TYPE_CHECKING, Any
from wsgiref.util import FileWrapper

import pytest

from tower_wsgi import wsgi
from tower_wsgi.wsgi.awaitables import aclose, is_async_iterable, is_awaitable, resolve
from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

# A coroutine that is never awaited is a warning.
pytestmark = pytest.mark.filterwarnings("error")

TEXT = [("Content-Type", "text/plain")]


class Seen:
    """What the server gets of one response."""

    def __init__(self) -> None:
        self.heads: list[tuple[str, dict[str, str]]] = []
        self.pieces: list[bytes] = []

    def start_response(self, status: str, headers: Any, exc_info: Any = None) -> Any:
        assert exc_info or not self.heads
        if exc_info and self.pieces:
            raise exc_info[1]
        self.heads.append((status, {name.lower(): value for name, value in headers}))
        return self.pieces.append

    @property
    def status(self) -> int:
        return int(self.heads[-1][0][:3])

    @property
    def headers(self) -> dict[str, str]:
        return self.heads[-1][1]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def environ(**more: Any) -> dict[str, Any]:
    return wsgi.test_wsgi_environ("/", extra={"wsgi.errors": io.StringIO(), **more})


async def drive(application: Any, request: Any = None, pieces: int | None = None) -> Seen:
    """Take the response, or some ``pieces`` of it."""
    seen = Seen()
    body = await resolve(application(request or environ(), seen.start_response))
    try:
        if is_async_iterable(body):
            async for piece in body:
                seen.pieces.append(await resolve(piece))
                if len(seen.pieces) == pieces:
                    break
        else:
            for piece in body:
                seen.pieces.append(await resolve(piece))
                if len(seen.pieces) == pieces:
                    break
    finally:
        await aclose(body)
    return seen


def ask(application: Any, request: Any = None, pieces: int | None = None) -> Seen:
    return asyncio.run(drive(application, request, pieces))


class Awaitable:
    def __init__(self, result: Any) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.result


async def coroutine(result: Any) -> Any:
    await asyncio.sleep(0)
    return result


def future(result: Any) -> Any:
    made = asyncio.get_running_loop().create_future()
    made.set_result(result)
    return made


def submitted(result: Any) -> Any:
    made: concurrent.futures.Future[Any] = concurrent.futures.Future()
    made.set_result(result)
    return made


LATER: list[Callable[[Any], Any]] = [coroutine, future, Awaitable, submitted]


class Closing:
    """A body that counts how often it is closed."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces
        self.closed = 0

    def __iter__(self) -> Iterator[Any]:
        return iter(self.pieces)

    def close(self) -> None:
        self.closed += 1


class ClosingLater:
    """The same for an asynchronous one."""

    def __init__(self, pieces: Any) -> None:
        self.pieces = pieces
        self.closed = 0

    async def __aiter__(self) -> AsyncIterator[Any]:
        for piece in self.pieces:
            await asyncio.sleep(0)
            yield piece

    async def aclose(self) -> None:
        await asyncio.sleep(0)
        self.closed += 1


def not_mine(environ: Any, start_response: Any) -> None:
    return None


async def not_mine_later(environ: Any, start_response: Any) -> None:
    await asyncio.sleep(0)


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"hello"]


async def hello_later(environ: Any, start_response: Any) -> list[bytes]:
    await asyncio.sleep(0)
    start_response("200 OK", TEXT)
    return [b"hello"]


def sync_edit(environ: Any, response: Any) -> None:
    response.headers["X-Order"] = response.headers.get("X-Order", "") + "s"


async def edit(environ: Any, response: Any) -> None:
    await asyncio.sleep(0)
    response.headers["X-Order"] = response.headers.get("X-Order", "") + "a"


EDITS: list[Any] = [[], [sync_edit], [edit], [sync_edit, edit, sync_edit]]


@pytest.mark.parametrize("edits", EDITS)
class TestChain:
    @pytest.mark.parametrize("later", LATER)
    @pytest.mark.parametrize("before", [[], [not_mine], [not_mine_later]])
    def test_a_result_may_come_later(self, later: Any, before: Any, edits: Any) -> None:
        def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            return later([b"hel", b"lo"])

        handler = wsgi.WsgiHandler([*before, application], edits)
        for called in (handler, native_application(handler)):
            seen = ask(called)
            assert (seen.status, seen.pieces) == (200, [b"hel", b"lo"])
            order = "".join("s" if one is sync_edit else "a" for one in edits)
            assert seen.headers.get("x-order", "") == order

    @pytest.mark.parametrize("later", LATER)
    def test_none_passes_the_request_on(self, later: Any, edits: Any) -> None:
        def none(environ: Any, start_response: Any) -> Any:
            return later(None)

        seen = ask(wsgi.WsgiHandler([none, not_mine, none, hello], edits))
        assert seen.body == b"hello"
        assert ask(wsgi.WsgiHandler([none, not_mine], edits)).status == 404
        assert ask(native_application(wsgi.WsgiHandler([none], edits))).status == 404

    def test_a_coroutine_function_may_be_anywhere(self, edits: Any) -> None:
        for middleware in ([hello_later], [not_mine, hello_later], [not_mine_later, hello_later]):
            handler = wsgi.WsgiHandler(middleware, edits)
            for called in (handler, native_application(handler)):
                assert ask(called).body == b"hello"

    def test_a_coroutine_may_result_in_a_response(self, edits: Any) -> None:
        async def teapot(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(418, "no coffee")

        seen = ask(wsgi.WsgiHandler([teapot], edits))
        assert (seen.status, seen.body) == (418, b"no coffee")
        assert seen.headers["content-length"] == "9"

    def test_pieces_may_come_later(self, edits: Any) -> None:
        def awaitables(environ: Any, start_response: Any) -> Any:
            yield coroutine(b"")
            start_response("200 OK", TEXT)
            yield b""
            yield coroutine(b"a")
            yield future(b"b")
            yield b"c"

        async def pieces(environ: Any, start_response: Any) -> Any:
            yield b""
            await asyncio.sleep(0)
            start_response("200 OK", TEXT)
            for piece in (b"a", b"b", b"c"):
                await asyncio.sleep(0)
                yield piece

        async def coroutine_of_pieces(environ: Any, start_response: Any) -> Any:
            return pieces(environ, start_response)

        for application in (awaitables, pieces, coroutine_of_pieces):
            seen = ask(wsgi.WsgiHandler([not_mine, application], edits))
            assert (seen.status, seen.body) == (200, b"abc")

    def test_an_http_exception_is_its_page_and_another_a_500(self, edits: Any) -> None:
        async def gone(environ: Any, start_response: Any) -> Any:
            await asyncio.sleep(0)
            raise wsgi.HttpGone

        async def fails(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            await asyncio.sleep(0)
            raise OSError("the disk is full")

        assert ask(wsgi.WsgiHandler([not_mine_later, gone], edits)).status == 410
        for called in (wsgi.WsgiHandler([fails], edits), wsgi.WsgiHandler([not_mine, fails])):
            request = environ()
            seen = ask(called, request)
            assert (seen.status, b"disk" in seen.body) == (500, False)
            assert "OSError: the disk is full" in request["wsgi.errors"].getvalue()

    def test_a_body_is_closed_once_on_every_path(self, edits: Any) -> None:
        for kind in (Closing, ClosingLater):
            for pieces in (None, 1, 2):
                body: Any = None

                def application(environ: Any, start_response: Any, kind: Any = kind) -> Any:
                    nonlocal body
                    start_response("200 OK", TEXT)
                    body = kind([b"a", b"b", b"c"])
                    return body

                async def later(
                    environ: Any, start_response: Any, application: Any = application
                ) -> Any:
                    return application(environ, start_response)

                for called in (application, later):
                    ask(wsgi.WsgiHandler([not_mine_later, called], edits), pieces=pieces)
                    assert body.closed == 1

    def test_a_file_reaches_the_server(self, edits: Any) -> None:
        async def application(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            return FileWrapper(io.BytesIO(b"a file"))

        seen = ask(
            wsgi.WsgiHandler([application], edits), environ(**{"wsgi.file_wrapper": FileWrapper})
        )
        assert seen.body == b"a file"

    def test_what_is_not_awaited_is_closed_and_warns_of_nothing(self, edits: Any) -> None:
        for application in (hello, hello_later, not_mine_later):
            handler = wsgi.WsgiHandler([not_mine, application], edits)
            result: Any = handler(environ(), Seen().start_response)
            if is_awaitable(result):
                result.close()
                result.close()

    def test_a_cancelled_chain_ends(self, edits: Any) -> None:
        ended: list[str] = []

        async def waits(environ: Any, start_response: Any) -> Any:
            try:
                await asyncio.get_running_loop().create_future()
            finally:
                ended.append("cancelled")

        async def cancel() -> None:
            task = asyncio.ensure_future(drive(wsgi.WsgiHandler([waits, hello], edits)))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

        asyncio.run(cancel())
        assert ended == ["cancelled"]


class TestResponseMiddleware:
    def test_it_may_replace_a_response_later(self) -> None:
        async def replace(environ: Any, response: Any) -> wsgi.WsgiResponse:
            await asyncio.sleep(0)
            return wsgi.WsgiResponse(203, response.content, TEXT)

        for application in (hello, hello_later):
            seen = ask(wsgi.WsgiHandler([application], [edit, replace, edit]))
            assert (seen.status, seen.body) == (203, b"hello")
            assert seen.headers["x-order"] == "a"

    def test_it_edits_error_pages(self) -> None:
        seen = ask(wsgi.WsgiHandler([not_mine], [edit]))
        assert (seen.status, seen.headers["x-order"]) == (404, "a")

    @pytest.mark.parametrize("application", [hello, hello_later])
    def test_a_wrong_result_and_an_error_close_the_body(self, application: Any) -> None:
        async def wrong(environ: Any, response: Any) -> Any:
            await asyncio.sleep(0)
            return "no response"

        async def fails(environ: Any, response: Any) -> Any:
            await asyncio.sleep(0)
            raise OSError("the disk is full")

        body = Closing([b"a"])
        request = environ(**{"wsgi.file_wrapper": Closing})

        def closing(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)
            return body

        async def closing_later(environ: Any, start_response: Any) -> Any:
            return closing(environ, start_response)

        called = closing if application is hello else closing_later
        with pytest.raises(TypeError, match="a response middleware returned str"):
            ask(wsgi.WsgiHandler([called], [wrong]), request)
        assert body.closed == 1
        with pytest.raises(OSError, match="disk"):
            ask(wsgi.WsgiHandler([called], [fails]), request)
        assert body.closed == 2

    def test_what_is_written_cannot_wait_for_it(self) -> None:
        def writes(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", TEXT)(b"written")
            return []

        request = environ()
        handler = wsgi.WsgiHandler([writes], [edit])
        assert ask(handler, request).status == 500
        assert "return the body" in request["wsgi.errors"].getvalue()

    def test_gzip_compresses_pieces_of_every_kind(self) -> None:
        text = b"x" * 1000
        headers = [*TEXT, ("Content-Length", "2000")]

        def awaitables(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", headers)
            yield text
            yield coroutine(text)

        async def pieces(environ: Any, start_response: Any) -> Any:
            start_response("200 OK", headers)
            yield text
            yield text

        for application in (awaitables, pieces):
            request = environ(HTTP_ACCEPT_ENCODING="gzip")
            seen = ask(wsgi.WsgiHandler([application], [wsgi.GZipMiddleware(), edit]), request)
            assert seen.headers["content-encoding"] == "gzip"
            assert gzip.decompress(seen.body) == text * 2


class TestExecutor:
    def test_behind_an_asynchronous_middleware_it_is_another_thread(self) -> None:
        variable = contextvars.ContextVar("variable", default="")

        async def first(environ: Any, start_response: Any) -> None:
            variable.set("kept")

        def blocks(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", TEXT)
            return [f"{threading.current_thread() is thread} {variable.get()}".encode()]

        thread = threading.current_thread()
        here = wsgi.WsgiHandler([first, wsgi.wait_for_body_middleware, blocks])
        assert ask(here).body == b"True kept"
        there = wsgi.WsgiHandler([first, wsgi.middleware_in_executor(blocks)])
        assert ask(there).body == b"False kept"

    def test_an_object_that_cannot_be_referred_to_stays_in_the_chain(self) -> None:
        class Slots:
            __slots__ = ()

            def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
                return hello(environ, start_response)

        link = wsgi.middleware_in_executor(Slots())
        assert ask(wsgi.WsgiHandler([not_mine_later, link])).body == b"hello"


class TestNativeApplication:
    def test_a_chain_that_begins_with_a_coroutine_function_is_one(self) -> None:
        class Callable:
            async def __call__(self, environ: Any, start_response: Any) -> list[bytes]:
                return await hello_later(environ, start_response)

        for middleware in (
            [hello_later],
            [wsgi.wait_for_body_middleware, hello_later],
            [not_mine_later, hello],
            [Callable()],
        ):
            for edits in ([], [edit]):
                native = native_application(wsgi.WsgiHandler(middleware, edits))
                assert asyncio.iscoroutinefunction(native)
                assert ask(native).body == b"hello"
        for middleware in ([], [hello], [not_mine, hello_later]):
            native = native_application(wsgi.WsgiHandler(middleware))
            assert not asyncio.iscoroutinefunction(native)
