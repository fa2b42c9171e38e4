"""The thin Python over the native module, which a stand-in replaces here."""

from __future__ import annotations

import sys
from typing import Any

import pytest

from tower_wsgi import __main__, arbiter, wsgi
from tower_wsgi.wsgi import server as module


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


class Native:
    """Stands for the native module and remembers what it was given."""

    def __init__(self) -> None:
        self.code = 0
        self.runs: list[Any] = []

    class Server:
        def __init__(self, name: str, load: Any, settings: Any) -> None:
            self.name = name or "wsgi"
            self.load = load
            self.settings = settings

    def run(self, servers: Any, argv: Any, about: Any, epilog: Any, version: Any) -> int:
        self.runs.append((servers, argv, (about, epilog, version)))
        return self.code

    def command(self, argv: Any) -> int:
        self.runs.append(argv)
        return self.code


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Native:
    native = Native()
    monkeypatch.setattr(module, "_native", native)
    monkeypatch.setattr(__main__, "_native", native)
    monkeypatch.setattr(module, "_arbiter", module.Arbiter())
    monkeypatch.setattr(sys.modules["__main__"], "__doc__", "\n    Sells.\n\n    Goods.\n")
    monkeypatch.setattr(sys, "argv", ["/home/me/manage.py", "-w", "4"])
    return native


def test_a_server_takes_the_command_line_of_the_script(native: Native) -> None:
    assert wsgi.WSGIServer(callable=hello, workers=2, bind=8070).start() == 0
    [([server], argv, told)] = native.runs
    assert server.name == "wsgi"
    assert server.settings == {"workers": 2, "bind": 8070}
    assert argv == ["manage.py", "-w", "4"]
    # The docstring of the script.
    assert told == ("Sells.\n\nGoods.", None, None)


def test_a_server_takes_another_command_line_or_none(native: Native) -> None:
    texts = {"description": "Says hello", "epilog": "Bye", "version": "7"}
    wsgi.WSGIServer(hello, argv=["prog", "--help"], **texts).start()  # type: ignore[arg-type]
    wsgi.WSGIServer(hello, parse_console=False, description="").start()
    wsgi.WSGIServer(hello, False, description="", config="site.toml", workers=1).start()
    assert [run[1:] for run in native.runs] == [
        (["prog", "--help"], ("Says hello", "Bye", "7")),
        (None, ("", None, None)),
        (None, ("", None, None)),
    ]
    assert native.runs[-1][0][0].settings == {"workers": 1}


def test_a_failure_ends_the_program_with_its_code(native: Native) -> None:
    native.code = 3
    with pytest.raises(SystemExit) as ended:
        wsgi.WSGIServer(hello).start()
    assert ended.value.code == 3
    assert wsgi.WSGIServer(hello).start(exit=False) == 3


def test_what_is_no_application_is_refused(native: Native) -> None:
    with pytest.raises(TypeError, match="'nothing' is not a WSGI application"):
        wsgi.WSGIServer("nothing")  # type: ignore[arg-type]


def test_the_worker_gets_the_application_without_the_chain(native: Native) -> None:
    wsgi.WSGIServer(hello).start()
    [([server], _, _)] = native.runs
    assert server.load() is hello


def test_two_applications_under_one_supervisor(native: Native) -> None:
    wsgi.WSGIServer(hello, name="wsgi1")
    wsgi.WSGIServer(hello, name="wsgi2", bind=8070)
    assert arbiter().start() == 0
    [(servers, argv, _)] = native.runs
    assert [server.name for server in servers] == ["wsgi1", "wsgi2"]
    assert argv == ["manage.py", "-w", "4"]


def test_the_arbiter_needs_servers_with_names(native: Native) -> None:
    with pytest.raises(RuntimeError, match="create a WSGIServer"):
        arbiter().start()
    wsgi.WSGIServer(hello)
    wsgi.WSGIServer(hello, bind=8070)
    with pytest.raises(ValueError, match='two servers are named "wsgi"'):
        arbiter().start()


@pytest.mark.parametrize(
    ("argv", "program"),
    [
        ("/x/tower_wsgi/__main__.py", "python -m tower_wsgi"),
        ("/usr/bin/tower-wsgi", "tower-wsgi"),
    ],
)
def test_the_command(
    native: Native, monkeypatch: pytest.MonkeyPatch, argv: str, program: str
) -> None:
    monkeypatch.setattr(sys, "argv", [argv, "app:application", "-w", "1"])
    native.code = 7
    assert __main__.main() == 7
    assert native.runs == [[program, "app:application", "-w", "1"]]
