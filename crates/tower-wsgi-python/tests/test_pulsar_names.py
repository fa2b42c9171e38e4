"""``docs/pulsar.md``: what it says of pulsar's names is true."""

from __future__ import annotations

import importlib
import pkgutil
import re
import warnings
from pathlib import Path
from typing import NamedTuple

import pytest

from tower_wsgi import _native

DOCUMENT = Path(__file__).parents[3] / "docs" / "pulsar.md"
ROW = re.compile(
    r"^\| `([^`]+)` \| (?:`([^`]+)`|\u2013) \| (works|differs|left out) \|", re.MULTILINE
)
# Where a name that is left out would be.
MODULES = (
    "tower_wsgi",
    "tower_wsgi.wsgi",
    "tower_wsgi.ws",
    "tower_wsgi.rpc",
    "tower_wsgi.pulse",
)


class Row(NamedTuple):
    name: str
    here: str
    state: str


TEXT = DOCUMENT.read_text()
ROWS = [Row(*found) for found in ROW.findall(TEXT)]
NAMES = [row for row in ROWS if row.state != "left out" and row.here.startswith("tower_wsgi.")]
LEFT_OUT = [row for row in ROWS if row.state == "left out"]
SETTINGS = [
    Row(*found) for found in ROW.findall(TEXT.partition("\n## Settings\n")[2].partition("\n## ")[0])
]
# What the modules of pulsar 2.0.2 export, and what those of 0.9 and 1.x did.
PUBLIC = {
    "pulsar.apps.wsgi": """
        WSGIServer HttpServerResponse AbortWsgi test_wsgi_environ String Html HtmlDocument Head
        Links Scripts Media html_factory HtmlVisitor clean_path_middleware authorization_middleware
        wait_for_body_middleware middleware_in_executor ResponseMiddleware AccessControl
        GZipMiddleware WsgiResponse WsgiRequest wsgi_cached WsgiHandler LazyWsgi route Route Router
        MediaRouter MediaMixin FileRouter RouterParam file_response parse_form_data HttpAuthenticate
        parse_authorization_header handle_wsgi_error render_error_debug wsgi_request
        set_wsgi_request_class dump_environ HOP_HEADERS""",
    "pulsar.apps.ws": "WebSocket WS WebSocketProtocol PubSubWS",
    "pulsar.apps.rpc": """
        JSONRPC RpcHandler rpc_method PulsarServerCommands JsonCall JsonProxy JsonBatchProxy
        InvalidRequest InvalidParams NoSuchFunction InternalError""",
    "pulsar.apps.pulse": "Wsgi",
    "pulsar.apps.greenio": """
        GreenPool GreenWSGI RunInPool wait wait_fd green_task run_in_greenlet GreenLock GreenHttp
        MustBeInChildGreenlet""",
}
# What is imported from the modules in these packages.
WITHIN = {
    "pulsar": """
        arbiter HttpException HttpRedirect BadRequest Http401 PermissionDenied Http404
        MethodNotAllowed HttpGone Unsupported UnprocessableEntity""",
    "pulsar.apps.wsgi.auth": "parse_authorization_header BasicAuth DigestAuth",
    "pulsar.apps.wsgi.formdata": "parse_form_data",
    "pulsar.apps.wsgi.handlers": "WsgiHandler LazyWsgi",
    "pulsar.apps.wsgi.middleware": """
        clean_path_middleware authorization_middleware wait_for_body_middleware
        middleware_in_executor""",
    "pulsar.apps.wsgi.response": "AccessControl GZipMiddleware",
    "pulsar.apps.wsgi.route": "Route",
    "pulsar.apps.wsgi.routers": """
        Router MediaRouter MediaMixin FileRouter RouterParam route file_response""",
    "pulsar.apps.wsgi.server": "WSGIServer HttpServerResponse test_wsgi_environ",
    "pulsar.apps.wsgi.utils": """
        handle_wsgi_error render_error_debug wsgi_request set_wsgi_request_class dump_environ
        HOP_HEADERS""",
    "pulsar.apps.wsgi.wrappers": "WsgiRequest WsgiResponse wsgi_cached",
    "pulsar.apps.ws.websocket": "WebSocket WebSocketProtocol",
    "pulsar.apps.rpc.handlers": """
        RpcHandler rpc_method InvalidRequest InvalidParams NoSuchFunction InternalError""",
    "pulsar.apps.rpc.jsonrpc": "JSONRPC JsonProxy",
    "pulsar.apps.rpc.mixins": "PulsarServerCommands",
}
PULSAR_SETTINGS = """
    config http_proxy http_keep_alive debug daemon reload pid_file password user group
    log_level log_handlers log_config process_name default_process_name coverage data_store
    exc_id stream_buffer event_loop redis_server workers concurrency max_requests timeout
    exit_timeout thread_workers bind keep_alive backlog key_file cert_file post_fork
    when_ready when_exit connection_made connection_lost pre_request post_request
    pulse_app_name key_value_databases key_value_password key_value_save key_value_filename
    http_py_parser noisy greenlet no_pycares loglevel
"""


def test_each_row_is_read() -> None:
    rows = re.findall(r"^\| `[^`]+` \|.*\|.*\|", TEXT, re.MULTILINE)
    assert len(ROWS) == len(rows)
    assert len(NAMES) > 20
    assert len(LEFT_OUT) > 20


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row.name)
def test_a_name_is_there(row: Row) -> None:
    assert pkgutil.resolve_name(row.here) is not None
    # The last part is pulsar's own, but for the command.
    ours = row.here.rpartition(".")[2]
    assert ours in (row.name.rpartition(".")[2], "Command") or row.name in WITHIN


@pytest.mark.parametrize("package", PUBLIC)
def test_each_public_name_of_pulsar_has_a_row(package: str) -> None:
    rows = {row.name for row in ROWS}
    missing = {name for name in PUBLIC[package].split() if not {name, f"{package}.{name}"} & rows}
    assert not missing


@pytest.mark.parametrize("module", WITHIN)
def test_a_module_within_a_package_has_its_names(module: str) -> None:
    (here,) = [row.here for row in ROWS if row.name == module]
    found = importlib.import_module(here)
    for name in WITHIN[module].split():
        assert getattr(found, name) is not None
        # As the package has it.
        if module.startswith("pulsar.apps."):
            package = importlib.import_module(".".join(here.split(".")[:2]))
            assert getattr(found, name) is getattr(package, name)


def server(**settings: object) -> _native.Server:
    return _native.Server("wsgi", lambda: None, settings)  # type: ignore[arg-type, return-value]


def test_each_setting_of_pulsar_has_a_row() -> None:
    names = [row.name for row in SETTINGS]
    assert set(names) >= set(PULSAR_SETTINGS.split())
    assert len(names) == len(set(names))


@pytest.mark.parametrize("row", SETTINGS, ids=lambda row: row.name)
def test_a_setting_is_what_its_row_says(row: Row) -> None:
    cfg = server().cfg
    if row.state == "left out":
        assert not row.here
        with pytest.raises(TypeError, match=f"^the setting {row.name}: there is none here: "):
            server(**{row.name: "something"})
        server(**{row.name: None})
        assert row.name not in cfg
        with pytest.raises(AttributeError, match=f"there is no setting {row.name}: "):
            getattr(cfg, row.name)
    elif row.here == "config":
        assert server(config="site.toml")
    elif row.here == row.name:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert getattr(cfg, row.name) == cfg[row.name]
    else:
        with pytest.warns(DeprecationWarning, match=f"{row.name} of pulsar is {row.here} here"):
            value = getattr(cfg, row.name)
        assert row.name in cfg
        assert row.name not in list(cfg)
        assert value == (False if row.name == "debug" else cfg[row.here])


@pytest.mark.parametrize("row", LEFT_OUT, ids=lambda row: row.name)
def test_a_name_that_is_left_out_is_not_there(row: Row) -> None:
    assert not row.here
    name = row.name.rpartition(".")[2]
    for module in map(importlib.import_module, MODULES):
        assert not hasattr(module, name)


def test_all_public_names_are_in_the_tables() -> None:
    listed = {row.here for row in NAMES}
    ours = {
        # What pulsar returns or parses, but does not export there.
        "tower_wsgi.wsgi.Arbiter",
        "tower_wsgi.wsgi.BasicAuth",
        "tower_wsgi.wsgi.DigestAuth",
        "tower_wsgi.wsgi.arbiter",
        # What it does not have.
        "tower_wsgi.ws.broadcast",
        "tower_wsgi.rpc.ParseError",
        "tower_wsgi.rpc.RpcException",
    }
    for module in ("tower_wsgi.wsgi", "tower_wsgi.ws", "tower_wsgi.rpc"):
        names = importlib.import_module(module).__all__
        assert {f"{module}.{name}" for name in names} <= listed | ours
