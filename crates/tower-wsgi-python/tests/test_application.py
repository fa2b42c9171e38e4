"""How an application is named and checked at the start, and what is said of one that fails."""

from __future__ import annotations

import re
import signal
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import PATIENCE

from tower_wsgi import wsgi
from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any

    from conftest import Served

SOURCE = """
import asyncio, functools

def app(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]

async def asynchronous(scope, receive, send):
    pass

class Asgi:
    async def __call__(self, scope, receive, send):
        pass

asgi = Asgi()

def three(scope, receive, send):
    pass

def one(environ):
    pass

def create_app(config=None):
    return app

class NotMade:
    def __call__(self, environ, start_response):
        pass

class Response:
    def __init__(self, environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])

    def __iter__(self):
        yield b"hello"

def decorated(function):
    @functools.wraps(function)
    def wrapper(*arguments, **keywords):
        return function(*arguments, **keywords)
    return wrapper

wrapped = decorated(app)
partial = functools.partial(lambda prefix, environ, start_response: app(environ, start_response), 1)
defaults = lambda environ=None, start_response=None: app(environ, start_response)
name = "app"
"""

ASGI = "takes three arguments, as an ASGI application does, and this is a WSGI server"
FACTORY = "if it is a factory, write it with parentheses, as in mysite:create_app()"


def failure(served: Served) -> str:
    """What a server says that could not start."""
    assert served.wait() == 1, served.log
    assert served.log.count("cannot load the application") == 1, served.log
    return served.log


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("app:asynchronous", ASGI),
        ("app:asgi", ASGI),
        ("app:three", ASGI),
        ("app:one", "takes 1 argument: a WSGI application takes two"),
        ("app:create_app", FACTORY),
        ("app:NotMade", FACTORY),
        ("app:name", "the application is not callable: its type is str"),
        ("app", 'app.py has no "application"; did you mean "app" or "create_app"?'),
        ("app:creat_app", 'app.py has no "creat_app"; did you mean "create_app"?'),
        ("app:app(", "expected a name after the colon, or a call of one"),
        ("app:create_app(x)", "the arguments in create_app(x) must be literals"),
        ("app.py", '"app.py" is a file, not a module: write app'),
        ("app.py:app", "write app:app"),
        ("./app.py:app", "write app:app"),
        ("missing:app", 'there is no module "missing" in '),
        ("missing.wsgi:app", 'there is no module "missing" in '),
    ],
)
def test_what_is_no_application(serve: Callable[..., Served], place: str, words: str) -> None:
    log = failure(serve(place, "-w", "1", source=SOURCE, addresses=0))
    assert words in log
    assert log.count(words) == 1, "each error once"
    assert "Traceback" not in log


def test_an_error_within_the_module(serve: Callable[..., Served]) -> None:
    log = failure(serve("app", "-w", "1", source="\nimport missing_package\n", addresses=0))
    assert "ModuleNotFoundError: No module named 'missing_package'" in log
    assert log.count("No module named") == 1, "each error once"
    assert re.search(r'File ".*/app.py", line 2, in <module>\n +import missing_package\n', log)


def test_a_syntax_error_at_the_start(serve: Callable[..., Served]) -> None:
    log = failure(serve("app", "-w", "1", source="x = 1\nx = = 2\n", addresses=0))
    assert log.count("SyntaxError: invalid syntax") == 1, "each error once"
    assert re.search(r'File ".*/app.py", line 2\n +x = = 2\n +\^\n', log)


def test_a_syntax_error_at_a_reload(
    serve: Callable[..., Served], tmp_path: Path, client: Any
) -> None:
    served = serve("app:app", "-w", "1", source=SOURCE)
    (tmp_path / "app.py").write_text("x = 1\nx = = 2  # not as long as the one before\n")
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log(r"reload failed.*SyntaxError: invalid syntax")
    assert re.search(r'File ".*/app.py", line 2\n +x = = 2 .*\n +\^\n', served.log)
    assert client.get(served.url).text == "hello", "the old worker keeps serving"
    assert served.stop() == 0


def test_applications_of_every_kind() -> None:
    """What the check at the start cannot know is served."""
    names: dict[str, Any] = {}
    exec(SOURCE, names)
    for name in ("app", "wrapped", "partial", "defaults", "Response"):
        with LiveServer(names[name]) as server:
            assert requests.get(server.url, timeout=PATIENCE).text == "hello", name
    for chain in ([names["app"]], [lambda environ, start: wsgi.WsgiResponse(content="hello")]):
        with LiveServer(wsgi.WsgiHandler(chain)) as server:
            assert requests.get(server.url, timeout=PATIENCE).text == "hello"


def test_live_servers_check_it_too() -> None:
    names: dict[str, Any] = {}
    exec(SOURCE, names)
    with pytest.raises(OSError, match="as an ASGI application does"):
        LiveServer(names["asgi"])


def test_an_application_that_streams_events_for_gunicorn(client: Any) -> None:
    """A recipe for server-sent events sets `Connection` and `Keep-Alive`, which are dropped."""

    def events(environ: Any, start_response: Any) -> Any:
        headers = {
            "Content-Type": "text/event-stream",
            "Cache-Control": "no-cache",
            "Connection": "keep-alive",
            "Keep-Alive": "timeout=60",
        }
        start_response("200 OK", headers.items())
        yield b"data: 1\n\n"

    with LiveServer(events) as server:
        response = client.get(server.url)
        assert (response.status_code, response.content) == (200, b"data: 1\n\n")
        assert not {"connection", "keep-alive"} & {name.lower() for name in response.headers}
    with LiveServer(events, strict=True) as server:
        assert client.get(server.url).status_code == 500


def test_every_refusal_is_what_the_client_accepts(client: Any) -> None:
    def application(environ: Any, start_response: Any) -> list[bytes]:
        raise ValueError

    with LiveServer(application, max_body=1) as server:
        for data, status in ((b"", 500), (b"too much", 413)):
            accept = {"Accept": "application/json"}
            response = client.post(server.url, data=data, headers=accept)
            assert (response.status_code, response.json()["status"]) == (status, status)


@pytest.mark.parametrize("where", ["option", "variable", "file"])
def test_strict_is_a_setting(
    serve: Callable[..., Served], tmp_path: Path, client: Any, where: str
) -> None:
    source = SOURCE + (
        "\ndef bad(environ, start_response):\n"
        '    start_response("200", [("Connection", "close")])\n'
        "    return [b'hello']\n"
    )
    (tmp_path / "strict.toml").write_text("strict = true\n")
    options = {"option": ["--strict"], "file": ["--config", "strict.toml"]}.get(where, [])
    env = {"TOWER_WSGI_STRICT": "1"} if where == "variable" else None
    served = serve("app:bad", "-w", "1", *options, source=source, env=env)
    assert client.get(served.url).status_code == 500
    assert 'ValueError: the status "200" is not' in served.log
    assert served.stop() == 0
