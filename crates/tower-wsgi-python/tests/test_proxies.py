"""Behind nginx and HAProxy, with the files of `deploy`: public https URLs without ProxyFix."""

from __future__ import annotations

import os
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from requests.adapters import HTTPAdapter
from test_forwarded import command
from urllib3.util import Retry
from werkzeug.serving import make_ssl_devcert

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Start

DEPLOY = Path(__file__).parents[3] / "deploy"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def deployed(file: str, replaced: dict[str, str]) -> str:
    text = (DEPLOY / file).read_text()
    for old, new in replaced.items():
        assert text.count(old) == 1, f"{old!r} in {file}"
        text = text.replace(old, new)
    return text


def program(name: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}{os.pathsep}/usr/sbin")
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def nginx(directory: Path, server: str, port: int, certificate: str, key: str) -> list[str]:
    temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    paths = "".join(f"{name}_temp_path {directory / name};\n" for name in temporary)
    listen = f"listen 127.0.0.1:{port} ssl;\n"
    listen += f"ssl_certificate {certificate};\nssl_certificate_key {key};"
    text = deployed(
        "nginx/nginx.conf",
        {
            # Ignored with a warning unless root starts it.
            "user www-data;": "user root;",
            "pid /run/nginx.pid;": f"pid {directory / 'pid'};",
            "http {": f"http {{\n{paths}",
            "listen 80;": listen,
            "server 127.0.0.1:8001 fail_timeout=1s;": f"server {server};",
            "server 127.0.0.1:8002 fail_timeout=1s;": "",
        },
    )
    (directory / "nginx.conf").write_text(text)
    options = ["-p", str(directory), "-e", "stderr", "-c", "nginx.conf"]
    return [program("nginx"), *options, "-g", "daemon off;"]


def haproxy(directory: Path, server: str, port: int, certificate: str, key: str) -> list[str]:
    pem = directory / "both.pem"
    pem.write_text(Path(certificate).read_text() + Path(key).read_text())
    text = deployed(
        "haproxy/haproxy.cfg",
        {
            "log stdout": "log stderr",
            "user haproxy": f"uid {os.getuid()}",
            "group haproxy": f"gid {os.getgid()}",
            "bind :80": f"bind 127.0.0.1:{port} ssl crt {pem}",
            "server one 127.0.0.1:8001": f"server one {server}",
            "server two 127.0.0.1:8002": "",
            "server one-websocket 127.0.0.1:8001 track app/one": "",
            "server two-websocket 127.0.0.1:8002 track app/two": "",
        },
    )
    (directory / "haproxy.cfg").write_text(text)
    return [program("haproxy"), "-db", "-f", str(directory / "haproxy.cfg")]


@pytest.mark.parametrize("proxy", [nginx, haproxy])
@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_urls_are_public_without_proxy_fix(
    start: Start, tmp_path: Path, proxy: Callable[[Path, str, int, str, str], list[str]]
) -> None:
    certificate, key = make_ssl_devcert(str(tmp_path / "ssl"), host="localhost")
    served = start(*command("--readiness-path", "/-/ready"))
    port = free_port()
    server = served.url.removeprefix("http://")
    started = start(*proxy(tmp_path, server, port, certificate, key), addresses=0)

    session = requests.Session()
    # HAProxy asks for the readiness first.
    retry = Retry(connect=50, status=50, status_forcelist=[502, 503], backoff_factor=0.1)
    session.mount("https://", HTTPAdapter(max_retries=retry))
    public = f"shop.example:{port}"
    # What a client says of itself does not get through.
    lie = {"X-Forwarded-Proto": "http"}
    for framework in ["flask", "django"]:
        response = session.get(
            f"https://127.0.0.1:{port}/{framework}",
            headers={"Host": public, **lie},
            verify=False,
            timeout=60,
        )
        assert response.status_code == 200, started.log
        seen = response.json()
        assert seen["url"] == f"https://{public}/{framework}"
        assert seen["scheme"] == "https"
        assert seen["client"] == "127.0.0.1"
