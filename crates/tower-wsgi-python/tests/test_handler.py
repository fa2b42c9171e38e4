from __future__ import annotations

import io
import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest
from conftest import PATIENCE, call

from tower_wsgi import wsgi
from tower_wsgi.testing import LiveServer
from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


def environ(path: str = "/", **more: Any) -> dict[str, Any]:
    return wsgi.test_wsgi_environ(path, extra={"wsgi.errors": io.StringIO(), **more})


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello"]


def not_mine(environ: Any, start_response: Any) -> None:
    return None


def broken(environ: Any, start_response: Any) -> list[bytes]:
    raise OSError("the disk is full")


class TestChain:
    def test_the_first_response_is_sent(self) -> None:
        handler = wsgi.WsgiHandler([not_mine, hello, broken])
        assert call(handler, environ()).body == b"hello"

    @pytest.mark.parametrize("response_middleware", [[], [lambda environ, response: None]])
    def test_a_middleware_may_return_a_response(self, response_middleware: Any) -> None:
        def teapot(environ: Any, start_response: Any) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(418, "no coffee")

        handler = wsgi.WsgiHandler([not_mine, teapot, broken], response_middleware)
        response = call(handler, environ())
        assert (response.code, response.body) == (418, b"no coffee")
        assert response.headers["content-length"] == "9"

    @pytest.mark.parametrize("response_middleware", [[], [lambda environ, response: None]])
    def test_what_can_be_iterated_both_ways_is_a_body(self, response_middleware: Any) -> None:
        class Stream:
            """As Django's `StreamingHttpResponse`."""

            def __iter__(self) -> Iterator[bytes]:
                yield b"piece"

            async def __aiter__(self) -> AsyncIterator[bytes]:
                raise AssertionError("the server is for WSGI")
                yield b""

        def application(environ: Any, start_response: Any) -> Stream:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return Stream()

        for handler in (
            wsgi.WsgiHandler([application], response_middleware),
            wsgi.WsgiHandler([not_mine, application], response_middleware),
        ):
            assert call(handler, environ()).body == b"piece"
            with LiveServer(handler) as server, urlopen(server.url, timeout=PATIENCE) as response:
                assert response.read() == b"piece"

    def test_an_empty_response_is_a_response(self) -> None:
        def empty(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return []

        assert call(wsgi.WsgiHandler([empty, broken]), environ()).code == 200

    @pytest.mark.parametrize("middleware", [[], [not_mine], [wsgi.wait_for_body_middleware]])
    def test_no_middleware_responds(self, middleware: Any) -> None:
        response = call(wsgi.WsgiHandler(middleware), environ())
        assert response.code == 404
        assert response.body == b"404 Not Found\nCannot find what you are looking for.\n"

    def test_an_exception_is_a_500_that_tells_the_client_nothing(self) -> None:
        request = environ()
        response = call(wsgi.WsgiHandler([broken]), request)
        assert response.code == 500
        assert b"disk" not in response.body
        assert "OSError: the disk is full" in request["wsgi.errors"].getvalue()

    def test_an_exception_after_the_start_replaces_the_response(self) -> None:
        def fails_late(environ: Any, start_response: Any) -> list[bytes]:
            start_response("200 OK", [("Content-Type", "image/png"), ("Content-Length", "9")])
            raise wsgi.BadRequest("no such picture")

        for middleware in ([], [lambda environ, response: None]):
            response = call(wsgi.WsgiHandler([fails_late], middleware), environ())
            assert response.code == 400
            assert response.headers["content-type"] == "text/plain; charset=utf-8"
            assert response.body == b"400 Bad Request\nno such picture\n"

    def test_an_exception_after_the_first_byte_is_raised(self) -> None:
        def fails_later(environ: Any, start_response: Any) -> list[bytes]:
            write = start_response("200 OK", [("Content-Type", "text/plain")])
            write(b"half a")
            raise OSError("the disk is full")

        for middleware in ([], [lambda environ, response: None]):
            with pytest.raises(OSError, match="disk"):
                call(wsgi.WsgiHandler([fails_later], middleware), environ())

    def test_what_ends_the_process_becomes_no_response(self) -> None:
        def leaves(environ: Any, start_response: Any) -> list[bytes]:
            sys.exit(3)

        with pytest.raises(SystemExit):
            call(wsgi.WsgiHandler([leaves]), environ())

    def test_called_without_a_request_it_gives_itself(self) -> None:
        handler = wsgi.WsgiHandler([hello])
        assert handler() is handler

    def test_it_can_be_pickled(self) -> None:
        copy = pickle.loads(pickle.dumps(wsgi.WsgiHandler([hello])))
        assert call(copy, environ()).body == b"hello"


class TestNativeApplication:
    def chain(self, *middleware: Any, **options: Any) -> Any:
        return native_application(wsgi.WsgiHandler(middleware, **options))

    def test_a_chain_of_one_is_called_without_the_chain(self) -> None:
        native = self.chain(wsgi.wait_for_body_middleware, wsgi.middleware_in_executor(hello))
        assert not isinstance(native, wsgi.WsgiHandler)
        assert call(native, environ()).body == b"hello"

    def test_it_still_responds_as_the_chain_does(self) -> None:
        assert call(self.chain(not_mine), environ()).code == 404
        assert call(self.chain(broken), environ()).code == 500

        def gone(environ: Any, start_response: Any) -> list[bytes]:
            raise wsgi.HttpGone

        assert call(self.chain(gone), environ()).code == 410

    def test_other_applications_are_called_as_they_are(self) -> None:
        class Special(wsgi.WsgiHandler):
            pass

        for application in (
            hello,
            wsgi.WsgiHandler([]),
            wsgi.WsgiHandler([not_mine, hello]),
            wsgi.WsgiHandler([hello], [wsgi.AccessControl()]),
            Special([hello]),
        ):
            assert native_application(application) is application


class Counting(wsgi.LazyWsgi):
    def __init__(self) -> None:
        self.setups = 0
        self.may_go_on = threading.Event()
        self.may_go_on.set()

    def setup(self, environ: Any = None) -> Any:
        self.setups += 1
        if environ and "wrong" in environ["PATH_INFO"]:
            raise ValueError("the first one fails")
        assert self.may_go_on.wait(PATIENCE)
        return wsgi.WsgiHandler([wsgi.wait_for_body_middleware, hello])

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        del state["may_go_on"]
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.may_go_on = threading.Event()
        self.may_go_on.set()


class TestLazy:
    def test_it_is_built_at_the_first_request_and_once(self) -> None:
        lazy = Counting()
        assert lazy.setups == 0
        for _ in range(3):
            assert call(lazy, environ()).body == b"hello"
        assert lazy.setups == 1
        assert isinstance(lazy.handler(), wsgi.WsgiHandler)
        assert lazy.setups == 1

    def test_requests_together_wait_for_one_setup(self) -> None:
        lazy = Counting()
        lazy.may_go_on.clear()
        bodies: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: bodies.append(call(lazy, environ()).body))
            for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        lazy.may_go_on.set()
        for thread in threads:
            thread.join(PATIENCE)
        assert bodies == [b"hello"] * 8
        assert lazy.setups == 1

    def test_after_an_error_the_next_request_tries_again(self) -> None:
        lazy = Counting()
        with pytest.raises(ValueError, match="first"):
            call(lazy, environ("/wrong"))
        assert call(lazy, environ()).body == b"hello"
        assert lazy.setups == 2

    def test_a_pickled_copy_builds_anew(self) -> None:
        lazy = Counting()
        call(lazy, environ())
        copy = pickle.loads(pickle.dumps(lazy))
        assert call(copy, environ()).body == b"hello"
        assert (lazy.setups, copy.setups) == (1, 2)

    def test_without_setup_the_error_names_the_class(self) -> None:
        class Forgotten(wsgi.LazyWsgi):
            pass

        with pytest.raises(NotImplementedError, match="Forgotten must define a method"):
            call(Forgotten(), environ())
