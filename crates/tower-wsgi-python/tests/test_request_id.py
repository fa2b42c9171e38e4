"""Identifiers of requests: in the environ, the response and the access log."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from conftest import PATIENCE
from raw_http import connect, fetch

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Served

APPLICATION = """
import time


def application(environ, start_response):
    headers = [("Content-Type", "text/plain")]
    if environ["PATH_INFO"] == "/own":
        headers.append(("X-Request-ID", "own"))
    if environ["PATH_INFO"] == "/late":
        time.sleep(1)
    if environ["PATH_INFO"] == "/broken":
        raise ValueError
    start_response("200 OK", headers)
    return [environ.get("HTTP_X_REQUEST_ID", "none").encode("latin-1")]
"""

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.mark.parametrize("form", ["json", "combined", "common"])
def test_an_id_is_in_the_environ_the_response_and_the_log(
    serve: Callable[..., Served], tmp_path: Path, form: str
) -> None:
    log = tmp_path / "access.log"
    (tmp_path / "file").write_text("file")
    served = serve(
        *("app:application", "--request-id", "--workers", "1", "--static", f"/static={tmp_path}"),
        *("--access-log", str(log), "--access-log-format", form, "--request-timeout", "0.3"),
        source=APPLICATION,
    )
    ids = []
    for target, status in [
        ("/", 200),
        ("/own", 200),
        ("/broken", 500),
        ("/late", 504),
        ("/static/file", 200),
        ("/a#b", 400),
    ]:
        response = fetch(served.url, target)
        assert response.status == status, target
        ids.append(response.headers["x-request-id"])
        if target == "/":
            assert response.body.decode() == ids[0]
        if target == "/own":
            # That of the response is the application's, and that of the log is the request's.
            assert ids.pop() == "own"
            ids.append(response.body.decode())
    assert all(UUID.fullmatch(one) for one in ids), ids
    assert len(set(ids)) == len(ids)
    with connect(served.url) as connection:
        connection.sendall(b"no HTTP\r\n\r\n")
        refused = connection.recv(1 << 16)
    assert b"x-request-id" not in refused
    served.stop()
    lines = log.read_text().splitlines()
    if form == "json":
        assert [json.loads(line)["request_id"] for line in lines] == [*ids, None]
    else:
        assert [line.split(" request_id=")[1] for line in lines] == [*ids, "-"]


SENT: list[tuple[str, bool]] = [
    ("a-1", True),
    ("x" * 128, True),
    ("0aZ-_.:/+=@~", True),
    ("x" * 129, False),
    ("", False),
    ("a b", False),
    ('a"b', False),
    ("a,b", False),
    ("a\\b", False),
    ("é", False),
    ("a\r\nx-request-id: b", False),
]


@pytest.mark.parametrize(("sent", "is_valid"), SENT)
@pytest.mark.parametrize("trusted", [True, False])
def test_only_a_trusted_peer_chooses_its_id(
    servers: dict[bool, str], sent: str, is_valid: bool, trusted: bool
) -> None:
    response = fetch(servers[trusted], "/", {"x-request-id": sent})
    found = response.body.decode("latin-1")
    assert response.headers["x-request-id"] == found
    if trusted and is_valid:
        assert found == sent
    else:
        assert UUID.fullmatch(found)


def test_an_underscore_is_no_hyphen(servers: dict[bool, str]) -> None:
    for url in servers.values():
        response = fetch(url, "/", {"x_request_id": "spoofed"})
        assert UUID.fullmatch(response.body.decode())


def test_http2_is_no_other(servers: dict[bool, str]) -> None:
    for trusted, url in servers.items():
        command = ["curl", "--silent", "--http2-prior-knowledge", "--dump-header", "-"]
        command += ["--max-time", f"{PATIENCE:.0f}", "--header", "x-request-id: a-1", url]
        try:
            shown = subprocess.run(command, capture_output=True, check=True).stdout.decode()
        except FileNotFoundError:
            pytest.skip("there is no curl")
        head, _, body = shown.partition("\r\n\r\n")
        assert head.startswith("HTTP/2 200")
        assert f"x-request-id: {body}" in head.split("\r\n")
        assert (body == "a-1") is trusted


@pytest.fixture(scope="module")
def servers(start_for_module: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[bool, str]:
    """A server that trusts this machine, and one that trusts no peer."""
    directory = tmp_path_factory.mktemp("application")
    (directory / "app.py").write_text(APPLICATION)
    command = [sys.executable, "-m", "tower_wsgi", "app:application", "--bind", "127.0.0.1:0"]
    command += ["--workers", "1", "--request-id"]
    trusting = start_for_module(*command, cwd=directory)
    others = start_for_module(*command, "--forwarded-allow-ips", "192.0.2.1", cwd=directory)
    return {True: trusting.url, False: others.url}


def test_without_the_option_the_field_is_one_like_all_others(
    serve: Callable[..., Served],
) -> None:
    served = serve("app:application", "--workers", "1", source=APPLICATION)
    response = fetch(served.url, "/", {"x-request-id": "any thing"})
    assert response.body == b"any thing"
    assert "x-request-id" not in response.headers
