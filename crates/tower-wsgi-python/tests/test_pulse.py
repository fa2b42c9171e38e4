"""The command ``pulse``, with a stand-in for the native module."""

from __future__ import annotations

import sys
import types
from typing import TYPE_CHECKING, Any

import django
import pytest
from conftest import call
from django.conf import settings
from django.contrib.staticfiles.handlers import StaticFilesHandler
from django.core.checks import Error, register
from django.core.management.base import CommandError, SystemCheckError
from django.http import HttpResponse
from django.test import override_settings
from django.urls import path

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from pathlib import Path

if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["*"],
        INSTALLED_APPS=["django.contrib.staticfiles", "tower_wsgi.pulse"],
        ROOT_URLCONF="pulse_urls",
        STATIC_URL="static/",
        USE_TZ=True,
    )
    django.setup()

from tower_wsgi import _native
from tower_wsgi.pulse.management.commands import pulse


class Native:
    def __init__(self) -> None:
        self.code = 0
        self.runs: list[Any] = []
        self.executions = 0

    class Server:
        def __init__(self, name: str, load: Any, settings: Any) -> None:
            self.name = name
            self.load = load
            self.settings = settings

    flags = staticmethod(_native.flags)

    def run(self, servers: Any, argv: Any, about: Any = None) -> int:
        self.runs.append((servers, argv, about))
        return self.code

    def execute(self) -> None:
        self.executions += 1


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Native:
    native = Native()
    monkeypatch.setattr(pulse, "_native", native)
    monkeypatch.setattr(pulse._patched, "execute", native.execute)
    urls = types.ModuleType("pulse_urls")
    urls.urlpatterns = [path("", lambda request: HttpResponse("a page"))]  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pulse_urls", urls)
    return native


def run(native: Native, *arguments: str) -> Any:
    """Run the command; gives the server, and its command line without the program."""
    pulse.Command().run_from_argv(["/home/me/manage.py", "pulse", *arguments])
    ([server], argv, _about) = native.runs.pop()
    assert argv[0] == "manage.py pulse"
    return server, argv[1:]


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ("", ""),
        ("-w 4 --thread-workers 20", "-w 4 --thread-workers 20"),
        ("-w4 --bind=:80", "-w4 --bind=:80"),
        ("8001", "--bind 8001"),
        ("0:8001 -w 4", "-w 4 --bind 0.0.0.0:8001"),
        ("-w 4 [::1]:80", "-w 4 --bind [::1]:80"),
        ("-w4 :80", "-w4 --bind :80"),
        ("--workers=4 :80", "--workers=4 --bind :80"),
        ("--reload 8001", "--reload --bind 8001"),
        ("--strict 8001", "--strict --bind 8001"),
        ("--greenlet -w 2", "--greenlet -w 2"),
        ("--greenlet 50 8001", "--greenlet=50 --bind 8001"),
        ("--greenlet :8001", "--greenlet --bind :8001"),
        ("--greenlet=50 :8001 -w 2", "--greenlet=50 -w 2 --bind :8001"),
        ("--traceback 8001 --nostatic -v 2 -w 2 --no-color", "-w 2 --bind 8001"),
        ("--pythonpath x -w 2 --log-level x", "-w 2 --log-level x"),
        ("-v 4 -w 4", None),
    ],
)
def test_options_that_are_not_djangos_go_to_the_server(
    native: Native, arguments: str, options: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", [*sys.path])
    if options is None:
        with pytest.raises(SystemExit, match="2"):
            run(native, *arguments.split())
        return
    server, argv = run(native, *arguments.split())
    assert argv == options.split()
    assert (server.name, server.settings) == ("pulse", {})


@pytest.mark.parametrize(
    ("arguments", "variable", "executions"),
    [
        ("", "", 0),
        ("--greenlet", "", 1),
        ("--greenlet 20", "", 1),
        ("--greenlet=0", "", 0),
        ("--greenlet 0", "50", 0),
        ("-w 2", "50", 1),
    ],
)
def test_greenlets_need_a_program_that_is_patched_first(
    native: Native,
    arguments: str,
    variable: str,
    executions: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TOWER_WSGI_GREENLET", variable)
    run(native, *arguments.split())
    assert native.executions == executions


def test_the_application_of_the_project_is_a_lazy_one(
    native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.db import connections
    from gevent.local import local

    from tower_wsgi.pulse import Wsgi

    application = Wsgi()
    assert call(application, wsgi.test_wsgi_environ()).body == b"a page"
    assert application.cfg["greenlet"] == 0
    monkeypatch.setattr(connections, "_connections", connections._connections)
    greenlets = Wsgi()
    greenlets.cfg = types.SimpleNamespace(greenlet=5)
    assert call(greenlets, wsgi.test_wsgi_environ()).body == b"a page"
    assert isinstance(connections._connections, local)


def test_a_second_address_is_refused(native: Native, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="1"):
        run(native, "8001", "8002")
    assert "CommandError: unexpected address '8002'" in capsys.readouterr().err
    with pytest.raises(CommandError):
        run(native, "8001", "8002", "--traceback")


def test_the_help_shows_djangos_options_and_the_servers(
    native: Native, capsys: pytest.CaptureFixture[str]
) -> None:
    _, argv = run(native, "-w", "4", "--help")
    assert argv == ["--help"]
    shown = capsys.readouterr().out
    for option in ("[ADDRESS]", "--settings", "--nostatic", "--skip-checks", "--traceback"):
        assert option in shown


def test_a_failure_ends_the_command_with_its_code(native: Native) -> None:
    native.code = 3
    with pytest.raises(SystemExit, match="3"):
        run(native)


def test_the_worker_serves_the_project(native: Native) -> None:
    server, _ = run(native, "--skip-checks")
    application = server.load()
    assert not isinstance(application, StaticFilesHandler)
    assert call(application, wsgi.test_wsgi_environ()).body == b"a page"


@pytest.mark.parametrize(
    ("debug", "option", "serves"),
    [(True, "--traceback", True), (True, "--nostatic", False), (False, "--insecure", True)],
)
def test_static_files_are_served_as_by_runserver(
    native: Native, monkeypatch: pytest.MonkeyPatch, debug: bool, option: str, serves: bool
) -> None:
    monkeypatch.setattr(settings, "DEBUG", debug)
    server, _ = run(native, option)
    assert isinstance(server.load(), StaticFilesHandler) is serves


@pytest.mark.parametrize(
    ("changes", "arguments", "serves"),
    [
        ({}, "", True),
        ({"STATIC_URL": "static/"}, "", True),
        ({"DEBUG": True}, "", False),
        ({"STATIC_ROOT": None}, "", False),
        ({"STATIC_URL": "https://cdn.example/static/"}, "", False),
        ({"STATIC_URL": "/"}, "", False),
        ({"MIDDLEWARE": ["whitenoise.middleware.WhiteNoiseMiddleware"]}, "", False),
        ({}, "--nostatic", False),
        ({}, "--insecure", False),
    ],
)
def test_the_server_itself_serves_the_collected_files(
    native: Native, tmp_path: Path, changes: dict[str, Any], arguments: str, serves: bool
) -> None:
    files = {"STATIC_ROOT": str(tmp_path), "STATIC_URL": "/static/"}
    with override_settings(**{**files, **changes}):
        server, argv = run(native, *arguments.split())
    assert server.settings == ({"static": [f"/static/={tmp_path}"]} if serves else {})
    assert "--static" not in argv


def test_directories_of_the_command_line_are_served_beside_the_collected_files(
    native: Native, tmp_path: Path
) -> None:
    with override_settings(STATIC_ROOT=tmp_path, STATIC_URL="/static/"):
        _, argv = run(native, "--static", "/media=media")
    assert argv == ["--static", "/media=media", "--static", f"/static/={tmp_path}"]


def test_files_that_were_not_collected_are_named(
    native: Native, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with override_settings(STATIC_ROOT=tmp_path / "missing"):
        server, _ = run(native)
    assert server.settings == {}
    shown = capsys.readouterr().err
    assert "missing, the STATIC_ROOT, is no directory. Run collectstatic." in shown


def test_the_worker_checks_the_project_and_the_supervisor_does_not(
    native: Native, monkeypatch: pytest.MonkeyPatch
) -> None:
    from django.core.checks.registry import registry

    monkeypatch.setattr(registry, "registered_checks", set(registry.registered_checks))

    @register
    def refuse(app_configs: Any, **kwargs: Any) -> list[Error]:
        return [Error("nothing is right")]

    server, _ = run(native)
    with pytest.raises(SystemCheckError, match="nothing is right"):
        server.load()
    server, _ = run(native, "--skip-checks")
    assert server.load()
