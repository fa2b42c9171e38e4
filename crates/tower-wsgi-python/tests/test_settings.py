"""Settings: their units, the variables of hosting platforms, and what errors say of them."""

from __future__ import annotations

import os
import re
import sys
from typing import TYPE_CHECKING

import pytest

from tower_wsgi import _native

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Client, Served

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    cfg = environ["pulsar.cfg"]
    values = cfg.workers, cfg.graceful_timeout, cfg.max_body, *cfg.bind
    return [" ".join(map(str, values)).encode()]
"""

SCRIPT = (
    APPLICATION
    + """
from tower_wsgi import wsgi

if __name__ == "__main__":
    wsgi.WSGIServer(application, graceful_timeout="500ms", max_body="10M", max_rss="1G").start()
"""
)


def test_a_script_has_units_and_the_platform_says_where_and_how_many(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    (tmp_path / "shop.py").write_text(SCRIPT)
    served = start(sys.executable, "shop.py", env={"PORT": "0", "WEB_CONCURRENCY": "2"})
    assert served.url.startswith("http://0.0.0.0:")
    assert client.get(served.url).text == f"2 0.5 {10 << 20} 0.0.0.0:0"


def test_what_is_set_goes_over_the_platform(serve: Callable[..., Served], client: Client) -> None:
    platform = {"PORT": "none", "WEB_CONCURRENCY": "3"}
    served = serve("app:application", "-w", "1", source=APPLICATION, env=platform)
    assert served.url.startswith("http://127.0.0.1:")
    assert client.get(served.url).text == f"1 30.0 {1 << 30} 127.0.0.1:0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("graceful_timeout", "30 s"),
        ("graceful_timeout", "-1"),
        ("graceful_timeout", -1),
        ("graceful_timeout", float("nan")),
        ("request_timeout", "10M"),
        ("max_body", "1T"),
        ("max_body", "10s"),
        ("max_rss", "1.5G"),
        ("max_header_size", ""),
        ("socket_mode", "rw"),
    ],
)
def test_a_wrong_unit_is_refused(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"the setting {name}: expected an? (duration|size|octal)"):
        _native.Server("wsgi", lambda: None, {name: value})  # type: ignore[arg-type, return-value]


def test_a_setting_of_another_server_has_a_tip() -> None:
    with pytest.raises(TypeError, match=r"the setting threads: .* --thread-workers"):
        _native.Server("wsgi", lambda: None, {"threads": 30})  # type: ignore[arg-type, return-value]


def test_a_slip_in_a_name_is_recognised() -> None:
    with pytest.raises(TypeError, match=r"thread_wokers: .*; did you mean thread_workers\?"):
        _native.Server("wsgi", lambda: None, {"thread_wokers": 3})  # type: ignore[arg-type, return-value]


def test_a_value_of_another_type_is_refused_in_the_same_words_as_in_a_file() -> None:
    for name, value, problem in [
        ("thread_workers", "5", "expected a whole number, 0 or more"),
        ("strict", 1, "expected true or false"),
        ("access_log_format", "xml", 'unknown value "xml"; choose common, combined or json'),
    ]:
        with pytest.raises(ValueError, match=re.escape(f"the setting {name}: {problem}")):
            _native.Server("wsgi", lambda: None, {name: value})  # type: ignore[arg-type, return-value]


def test_an_application_sees_every_setting(serve: Callable[..., Served], client: Client) -> None:
    source = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    cfg = environ["pulsar.cfg"]
    settings = cfg.bind, cfg.request_timeout, cfg.max_header_size, cfg.max_rss, cfg.strict
    return [repr(settings).encode()]
"""
    served = serve("app:application", "-w", "1", "--max-header-size", "16K", source=source)
    assert client.get(served.url).text == "(('127.0.0.1:0',), 300.0, 16384, None, False)"


def test_the_help_has_the_defaults_of_the_command(capfd: pytest.CaptureFixture[str]) -> None:
    assert _native.command(["tower-wsgi", "--help"]) == 0
    shown = " ".join(capfd.readouterr().out.split())
    for text in [
        "[default: 5]",
        "[default: 127.0.0.1:8000, or 0.0.0.0:$PORT if PORT is set]",
        "[default: auto, or $WEB_CONCURRENCY if that is set]",
        "HOST:PORT, [IPV6]:PORT, :PORT",
        "[env: TOWER_WSGI_MAX_BODY=]",
    ]:
        assert text in shown


def refused(
    serve: Callable[..., Served], *options: str, env: dict[str, str] | None = None
) -> tuple[int, str]:
    """The exit code and the log of a start that is refused."""
    served = serve("app:application", *options, source=APPLICATION, addresses=0, env=env)
    return served.wait(), served.log


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--timeout=30", "--request-timeout"),
        ("--port", "--bind"),
        ("--keyfile", "--tls-key"),
        ("--threads", "--thread-workers"),
        ("-k", "--thread-workers"),
        ("--daemon", "service manager"),
    ],
)
def test_an_option_of_another_server_has_a_tip(
    serve: Callable[..., Served], option: str, instead: str
) -> None:
    code, log = refused(serve, option)
    assert code == 2
    name = option.partition("=")[0]
    assert log.startswith(f"error: unexpected argument '{name}': ")
    assert instead in log.splitlines()[0]


@pytest.mark.parametrize(
    ("options", "env", "code", "problem"),
    [
        (
            "--chdir /nonexistent -w 2",
            {},
            1,
            "--chdir: cannot change to the directory /nonexistent",
        ),
        ("--pid-file /nonexistent/pid", {}, 1, "the pid file /nonexistent/pid"),
        ("--control-socket /nonexistent/s", {}, 1, "the control socket /nonexistent/s"),
        ("--tls-certificate /nonexistent.pem --tls-key k", {}, 1, "certificate /nonexistent.pem"),
        ("--bind unix:/nonexistent/s", {}, 1, "unix:/nonexistent/s: the directory does not exist"),
        ("--bind unix:@shop", {}, 2, "abstract sockets"),
        ("", {"WEB_CONCURRENCY": "many"}, 2, 'the environment variable WEB_CONCURRENCY is "many"'),
        ("--max-body 10KB", {}, 2, "expected a size"),
        ("--umask rw", {}, 2, "expected an octal number"),
    ],
)
def test_an_error_names_what_has_failed_once(
    serve: Callable[..., Served], options: str, env: dict[str, str], code: int, problem: str
) -> None:
    found, log = refused(serve, *options.split(), env=env)
    assert found == code, log
    assert log.count(problem) == 1, log
    lines = [line for line in log.splitlines() if line and "try '--help'" not in line]
    assert len(lines) == 1, log
    # A sentence, and no value in the form that a debugger shows.
    assert not re.search(r"\w\(\w+\)|\[\d+, |\w \{", re.sub(r"\(os error \d+\)", "", log)), log


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start workers as another user")
def test_a_directory_that_the_user_of_the_workers_may_not_read_is_named(
    serve: Callable[..., Served], tmp_path: Path
) -> None:
    # No user has the number, so that no file is its own; pytest's directories are the test's alone.
    code, log = refused(serve, "-w", "1", "--user", "54321", "--group", "54321")
    assert code == 1
    assert re.search(
        r"has no permission to enter or execute /|may not read the directory /", log
    ), log
