"""The settings of pulsar for a script, its command line, and `pulsar.cfg`."""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tower_wsgi import _native, wsgi

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

SETTINGS = Path(__file__).parents[3] / "docs" / "settings.md"


def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello"]


def cfg_of(**settings: object) -> _native.Config:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return wsgi.WSGIServer(hello, **settings).cfg  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("settings", "ours", "value"),
    [
        ({"keep_alive": 5}, "keep_alive_timeout", 5.0),
        ({"http_keep_alive": 75}, "keep_alive_timeout", 75.0),
        ({"timeout": 30}, "heartbeat_timeout", 30.0),
        ({"exit_timeout": 3}, "graceful_timeout", 3.0),
        ({"cert_file": "a.pem"}, "tls_certificate", ("a.pem",)),
        ({"key_file": "a.key"}, "tls_key", ("a.key",)),
        ({"stream_buffer": 1 << 24}, "max_body", 1 << 24),
        ({"pidfile": "a.pid"}, "pid_file", "a.pid"),
        ({"loglevel": "debug"}, "log_level", "debug"),
        ({"log_level": ["info"]}, "log_level", "info"),
        ({"debug": True}, "log_level", "debug"),
        ({"debug": False}, "log_level", None),
        ({"process_name": "shop"}, "name", "shop"),
        ({"process_name": "shop", "name": "own"}, "name", "own"),
        ({}, "name", "wsgi"),
        ({"concurrency": "process", "daemon": False}, "workers", 3),
        ({"bind": ("127.0.0.1", 8070)}, "bind", ("127.0.0.1:8070",)),
        ({"bind": ("::1", 8070)}, "bind", ("[::1]:8070",)),
        ({"bind": ("127.0.0.1:1", "8070")}, "bind", ("127.0.0.1:1", "8070")),
        ({"bind": [("127.0.0.1", 8070), "unix:a"]}, "bind", ("127.0.0.1:8070", "unix:a")),
        ({"bind": 8070}, "bind", ("8070",)),
        ({"bind": "127.0.0.1:1,unix:a"}, "bind", ("127.0.0.1:1", "unix:a")),
        ({}, "bind", ("127.0.0.1:8000",)),
        ({"cfg": {"thread_workers": 3, "max_body": 1}, "max_body": 2}, "thread_workers", 3),
        ({"cfg": {"thread_workers": 3, "max_body": 1}, "max_body": 2}, "max_body", 2),
    ],
    ids=str,
)
def test_what_a_script_sets(settings: dict[str, object], ours: str, value: object) -> None:
    found = cfg_of(**{"workers": 3, **settings})[ours]
    assert (type(found), found) == (type(value), value)


def test_a_value_that_is_refused_is_refused_by_the_name_that_was_given() -> None:
    with pytest.raises(ValueError, match="the setting cert_file: expected a path"):
        cfg_of(cert_file="")
    with pytest.raises(ValueError, match=r"the setting config: expected a TOML file"):
        cfg_of(config="config.py")
    with pytest.raises(TypeError, match=r"the setting daemon: there is none here: .* systemd"):
        cfg_of(daemon=True)
    with pytest.raises(TypeError, match=r"the setting concurrency: .* workers=0"):
        cfg_of(concurrency="thread")


def test_the_warning_names_the_line_of_the_script() -> None:
    with pytest.warns(
        DeprecationWarning, match="keep_alive of pulsar is keep_alive_timeout"
    ) as found:
        wsgi.WSGIServer(hello, keep_alive=5)
    assert found[0].filename == __file__
    with pytest.warns(DeprecationWarning) as found:
        _ = wsgi.WSGIServer(hello).cfg.keep_alive
    assert found[0].filename == __file__


def test_the_settings_are_a_mapping_to_read_only() -> None:
    cfg = cfg_of(workers=3, bind="127.0.0.1:0")
    assert isinstance(cfg, Mapping)
    assert cfg.workers == cfg["workers"] == cfg.get("workers") == 3
    assert len(cfg) == len(list(cfg)) == len(cfg.items()) == len(dict(cfg))
    rows = re.findall(r"^\| `(\w+)`", SETTINGS.read_text(), re.MULTILINE)
    of_the_command = {"application", "chdir", "env", "pythonpath"}
    assert set(cfg) == {"name", *rows} - of_the_command
    assert dict(cfg.items()) == dict(zip(cfg.keys(), cfg.values(), strict=True)) == {**cfg}
    assert "workers" in cfg
    assert "nonsense" not in cfg
    assert 3 not in cfg
    assert cfg.get("nonsense") is None
    assert cfg.get("nonsense", 7) == 7
    assert {"workers", "items"} <= set(dir(cfg))
    assert "'workers': 3" in repr(cfg)
    with pytest.raises(KeyError, match="nonsense"):
        cfg["nonsense"]
    with pytest.raises(AttributeError, match="there is no setting nonsense"):
        _ = cfg.nonsense
    for name in ("workers", "mine"):
        with pytest.raises(AttributeError, match=f"the setting {name} cannot be changed here"):
            setattr(cfg, name, 4)
    with pytest.raises(TypeError, match="item assignment"):
        cfg["workers"] = 4  # type: ignore[index]
    assert cfg.workers == 3


def test_debug_is_what_the_log_is_for() -> None:
    with pytest.warns(DeprecationWarning, match="debug of pulsar is log_level"):
        assert not cfg_of().debug
    with pytest.warns(DeprecationWarning):
        assert cfg_of(debug=True).debug
    with pytest.warns(DeprecationWarning):
        assert cfg_of(log_level="warn,tower_prefork=debug").debug is False


def test_the_application_may_be_that_of_a_subclass_or_come_later() -> None:
    class Server(wsgi.WSGIServer):
        def callable(self, environ: Any, start_response: Any) -> list[bytes]:
            return hello(environ, start_response)

    assert Server().callable({}, lambda *_: None) == [b"hello"]
    server = wsgi.WSGIServer(name="later")
    with pytest.raises(TypeError, match='"later" has no application'):
        server.start()


def test_the_name_is_a_keyword() -> None:
    with pytest.raises(TypeError, match=r"load_config is 'shop'.*name="):
        wsgi.WSGIServer(hello, "shop")  # type: ignore[arg-type]


SCRIPT = '''"""Sells goods.

And more of them.
"""
import json

from tower_wsgi import wsgi

__version__ = "7.8"


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    cfg = environ["pulsar.cfg"]
    connection = environ["pulsar.connection"]
    assert connection.cfg is connection.producer.cfg is cfg
    assert connection.transport is connection
    found = {
        "cfg": dict(cfg),
        "keep_alive": cfg.keep_alive,
        "same": environ["pulsar.cfg"] is application.__dict__.setdefault("cfg", cfg),
        "connection": {
            "address": connection.address,
            "peername": connection.transport.get_extra_info("peername"),
            "sockname": connection.transport.get_extra_info("sockname"),
            "nothing": connection.transport.get_extra_info("nothing", 7),
            "server_address": connection.server_address,
            "producer": connection.producer.address,
            "software": connection.producer.server_software,
            "is_secure": connection.is_secure,
        },
        "environ": {name: value for name, value in environ.items() if isinstance(value, str)},
    }
    return [json.dumps(found).encode()]


if __name__ == "__main__":
    wsgi.WSGIServer(
        application,
        LOAD_CONFIG,
        name="shop",
        version=__version__,
        epilog="Have fun!",
        bind=("127.0.0.1", 0),
        workers=1,
        keep_alive=7,
        max_body="3M",
        timeout=40,
        pid_file="own.pid",
    ).start()
'''


def write_script(directory: Path, load_config: bool = True) -> str:
    (directory / "shop.py").write_text(SCRIPT.replace("LOAD_CONFIG", str(load_config)))
    return "shop.py"


def test_an_application_of_pulsar_finds_its_settings_and_its_connection(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    options = ("-t", "50", "-p", "other.pid", "--script-name", "/x")
    served = start(sys.executable, write_script(tmp_path), *options)
    assert "keep_alive of pulsar is keep_alive_timeout here" in served.log
    assert (tmp_path / "other.pid").read_text().strip() == str(served.process.pid)
    assert not (tmp_path / "own.pid").exists()
    found = client.get(served.url).json()
    cfg = found["cfg"]
    assert (cfg["name"], cfg["workers"], cfg["keep_alive_timeout"]) == ("shop", 1, 7.0)
    assert (cfg["heartbeat_timeout"], cfg["max_body"]) == (50.0, 3 << 20)
    assert (cfg["pid_file"], cfg["script_name"], cfg["log_file"]) == ("other.pid", "/x", None)
    assert found["keep_alive"] == 7.0
    assert client.get(served.url).json()["same"] is True
    connection, environ = found["connection"], found["environ"]
    address = [environ["REMOTE_ADDR"], int(environ["REMOTE_PORT"])]
    here = [environ["SERVER_NAME"], int(environ["SERVER_PORT"])]
    assert connection == {
        "address": address,
        "peername": address,
        "sockname": here,
        "nothing": 7,
        "server_address": here,
        "producer": here,
        "software": environ["SERVER_SOFTWARE"],
        "is_secure": False,
    }


def test_a_script_without_its_configuration_ignores_the_command_line(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    script = write_script(tmp_path, load_config=False)
    served = start(sys.executable, script, "--nonsense", "-t", "50")
    assert client.get(served.url).json()["cfg"]["heartbeat_timeout"] == 40.0


def test_the_help_of_a_script_is_its_own(start: Callable[..., Served], tmp_path: Path) -> None:
    script = write_script(tmp_path)
    served = start(sys.executable, "-W", "ignore", script, "--help", addresses=0)
    assert served.wait() == 0
    assert served.log.startswith("Sells goods.\n\nAnd more of them.\n")
    assert served.log.rstrip().endswith("Have fun!")
    shown = " ".join(served.log.split())
    for option, default in [
        ("-b, --bind", "127.0.0.1:0"),
        ("-w, --workers", "1"),
        ("-p, --pid-file", "own.pid"),
        ("-t, --heartbeat-timeout", "40s"),
        ("--keep-alive-timeout", "7s"),
        ("--max-body", "3M"),
        # What it has not set.
        ("--thread-workers", "5"),
        ("--graceful-timeout", "30s"),
    ]:
        _, _, text = shown.partition(f"{option} <")
        assert text.partition("[default: ")[2].startswith(f"{default}]"), option
    served = start(sys.executable, "-W", "ignore", script, "--version", addresses=0)
    assert served.wait() == 0
    assert served.log == "shop.py 7.8\n"


@pytest.mark.parametrize(
    ("option", "instead"),
    [
        ("--key-file", "use --tls-key"),
        ("--exit-timeout", "use --graceful-timeout"),
        ("--http-keep-alive", "use --keep-alive-timeout"),
        ("--stream-buffer", "use --max-body"),
        ("--debug", "use --log-level debug"),
        ("--process-name", "give WSGIServer a name"),
        ("--concurrency", "serve in one process with workers=0"),
        ("--log-handlers", "logging.config.dictConfig"),
    ],
)
def test_an_option_of_pulsar_names_ours(
    start: Callable[..., Served], tmp_path: Path, option: str, instead: str
) -> None:
    script = write_script(tmp_path)
    served = start(sys.executable, "-W", "ignore", script, option, "1", addresses=0)
    assert served.wait() == 2
    line = served.log.splitlines()[0]
    assert line.startswith(f"error: unexpected argument '{option}': ")
    assert instead in line
