"""The fields of proxies: Flask, Django, the environ and the access log agree on the client.

The cases are those of the Rust tests, for which axum sees the same.
"""

from __future__ import annotations

import itertools
import json
import socket
import sys
from contextlib import contextmanager, suppress
from http.client import HTTPResponse
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from conftest import Served, Start

TESTS = Path(__file__).parent
CASES: list[dict[str, Any]] = json.loads(
    (TESTS.parents[1] / "tower-serve/src/connection/tests/forwarded.json").read_text()
)


def settings(case: dict[str, Any]) -> tuple[str, str]:
    return case["trust"], case["fields"]


GROUPS = [
    (key, list(cases)) for key, cases in itertools.groupby(sorted(CASES, key=settings), settings)
]


def fields(case: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in case["request"]:
        parts = [[value, 1]] if isinstance(value, str) else value
        yield name, "".join(text * count for text, count in parts)


class Connection:
    """A connection whose client sends exactly these fields."""

    def __init__(self, url: str) -> None:
        host, port = url.removeprefix("http://").split(":")
        self.socket = socket.create_connection((host, int(port)), timeout=PATIENCE)
        self.port = self.socket.getsockname()[1]

    def get(self, path: str, fields: Iterator[tuple[str, str]]) -> dict[str, Any]:
        lines = [f"GET {path} HTTP/1.1", "Host: internal.example"]
        lines += [f"{name}: {value}" for name, value in fields]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        response = HTTPResponse(self.socket)
        response.begin()
        assert response.status == 200, response.read()
        seen: dict[str, Any] = json.loads(response.read())
        return seen

    def close(self) -> None:
        self.socket.close()


@contextmanager
def connected(url: str) -> Iterator[Connection]:
    connection = Connection(url)
    try:
        yield connection
    finally:
        connection.close()


def command(*options: str) -> list[str]:
    application = "forwarded_site:application"
    start = [sys.executable, "-m", "tower_wsgi", application, "--bind", "127.0.0.1:0"]
    return [*start, "-w", "1", "--chdir", str(TESTS / "sites"), *options]


@pytest.mark.parametrize(("key", "cases"), GROUPS)
def test_flask_django_and_the_log_agree(
    start: Start, tmp_path: Path, key: tuple[str, str], cases: list[dict[str, Any]]
) -> None:
    trust, names = key
    log = tmp_path / "access.log"
    proxies = ["--forwarded-allow-ips", trust, "--forwarded-headers", names]
    served: Served = start(*command(*proxies, "--access-log", str(log)))
    logged = []
    with connected(served.url) as connection:
        for case in cases:
            expected = {
                "client": case["client"] or "127.0.0.1",
                "scheme": case["scheme"],
                "host": case["host"],
                "prefix": case["prefix"],
            }
            base = f"{case['scheme']}://{case['host']}{case['prefix']}"
            seen = connection.get("/flask", fields(case))
            assert seen == {**expected, "url": f"{base}/flask"}, case["name"]
            seen = connection.get("/django", fields(case))
            # `build_absolute_uri` takes a path from the root.
            url = f"{case['scheme']}://{case['host']}/django"
            assert seen == {**expected, "url": url}, case["name"]
            seen = connection.get("/", fields(case))
            port = case["port"] if case["client"] else connection.port
            assert seen["REMOTE_ADDR"] == expected["client"], case["name"]
            assert seen["REMOTE_PORT"] == (str(port) if port else None), case["name"]
            assert seen["HTTPS"] == ("on" if case["scheme"] == "https" else None), case["name"]
            assert seen["url_scheme"] == case["scheme"], case["name"]
            assert seen["uri"] == f"{base}/", case["name"]
            # They stay, for what an application makes of them itself. Those with underscores never
            # come.
            sent = {name for name, _ in fields(case) if "Forwarded" in name and "_" not in name}
            variables = {f"HTTP_{name.upper().replace('-', '_')}" for name in sent}
            assert set(seen["fields"]) == variables, case["name"]
            logged += [expected["client"]] * 3
    assert served.stop() == 0
    assert [line.split(" ")[0] for line in log.read_text().splitlines()] == logged


def test_proxy_fix_of_an_application_changes_nothing(start: Start, tmp_path: Path) -> None:
    (tmp_path / "fixed.py").write_text(
        "from werkzeug.middleware.proxy_fix import ProxyFix\n"
        "from forwarded_site import application as site\n"
        "application = ProxyFix(site, x_for=1, x_proto=1, x_host=1, x_port=1, x_prefix=1)\n"
    )
    served = start(
        *command("--pythonpath", str(tmp_path), "--forwarded-headers", "for,proto,host,port,prefix")
    )
    sent = [
        ("X-Forwarded-For", "192.0.2.7"),
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "shop.example"),
        ("X-Forwarded-Port", "8443"),
        ("X-Forwarded-Prefix", "/shop"),
    ]
    with connected(served.url) as connection:
        plain = connection.get("/", iter(sent))
        flask = connection.get("/flask", iter(sent))
    assert plain["uri"] == "https://shop.example:8443/shop/"
    assert flask["url"] == "https://shop.example:8443/shop/flask"
    assert flask["client"] == "192.0.2.7"


def test_the_variable_of_gunicorn_and_uvicorn(start: Start) -> None:
    sent = [("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")]
    for value, client in [("", "127.0.0.1"), ("10.0.0.1", "127.0.0.1"), ("*", "192.0.2.7")]:
        served = start(*command(), env={"FORWARDED_ALLOW_IPS": value})
        with connected(served.url) as connection:
            assert connection.get("/", iter(sent))["REMOTE_ADDR"] == client
    # An option goes over it.
    options = ["--forwarded-allow-ips", "127.0.0.1"]
    served = start(*command(*options), env={"FORWARDED_ALLOW_IPS": ""})
    with connected(served.url) as connection:
        assert connection.get("/", iter(sent))["uri"] == "https://internal.example/"


def test_the_proxy_protocol(start: Start) -> None:
    served = start(*command("--proxy-protocol"))
    with connected(served.url) as connection:
        connection.socket.sendall(b"PROXY TCP6 2001:db8::7 2001:db8::1 4711 443\r\n")
        seen = connection.get("/", iter([("X-Forwarded-For", "192.0.2.7")]))
    assert (seen["REMOTE_ADDR"], seen["REMOTE_PORT"]) == ("2001:db8::7", "4711")
    assert seen["SERVER_NAME"] == "[2001:db8::1]"
    with connected(served.url) as connection:
        connection.socket.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        # With a reset: what the client has sent is not read.
        with suppress(ConnectionResetError):
            assert connection.socket.recv(1) == b""
    served.wait_for_log("does not begin with a header of the PROXY protocol")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--forwarded-allow-ips", "proxy"], '"proxy" is no peer'),
        (["--proxy-allow-ips", "10.0.0.0/99"], "is no peer"),
        (["--forwarded-headers", "for,forwarded"], 'choose "forwarded" alone'),
    ],
)
def test_what_makes_no_sense_is_refused(start: Start, options: list[str], problem: str) -> None:
    served = start(*command(*options), addresses=0)
    assert served.wait() == 2
    assert problem in served.log
