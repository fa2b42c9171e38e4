"""pulsar's pages on applications, routers, files and JSON-RPC, in each mode of the server."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import PATIENCE

from tower_wsgi import rpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Start

TUTORIAL = Path(__file__).parents[3] / "examples" / "python" / "tutorial"
MODES = {
    "pool": ("--thread-workers", "2"),
    "loop": ("--thread-workers", "2"),
    "greenlets": ("--greenlet", "10"),
}
# Behind an asynchronous middleware the rest of the chain runs on the event loop.
ON_THE_LOOP = """
import asyncio
import {module}
from tower_wsgi import wsgi

async def first(environ, start_response):
    asyncio.get_running_loop()

application = wsgi.WsgiHandler([first, {module}.application])
"""


@pytest.fixture(scope="module", params=MODES)
def serve_page(
    request: pytest.FixtureRequest,
    start_for_module: Start,
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], str]:
    """Serve the application of a page in each mode, once; gives its URL."""
    urls: dict[str, str] = {}

    def serve(module: str) -> str:
        if module not in urls:
            name = module
            directory = tmp_path_factory.mktemp(request.param)
            if request.param == "loop":
                name = "on_the_loop"
                (directory / f"{name}.py").write_text(ON_THE_LOOP.format(module=module))
            command = [sys.executable, "-m", "tower_wsgi", f"{name}:application", "-w", "1"]
            command += ["--bind", "127.0.0.1:0", "--pythonpath", str(TUTORIAL)]
            urls[module] = start_for_module(*command, *MODES[request.param], cwd=directory).url
        return urls[module]

    return serve


@pytest.fixture
def application(serve_page: Callable[[str], str]) -> str:
    """The URL of the page on writing an application."""
    return serve_page("wsgi_application")


@pytest.fixture
def site(serve_page: Callable[[str], str]) -> str:
    """The URL of the page on routers and files."""
    return serve_page("router_and_files")


@pytest.fixture
def calculator(serve_page: Callable[[str], str]) -> rpc.JsonProxy:
    """A client of the page on JSON-RPC."""
    return rpc.JsonProxy(serve_page("calculator"))


def test_hello(application: str, client: Client) -> None:
    response = client.get(application)
    assert response.text == "Hello World!\n"
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert client.get(f"{application}/missing").status_code == 404


def test_a_password(application: str, client: Client) -> None:
    refused = client.get(f"{application}/private")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Basic realm="tutorial"'
    wrong = client.get(f"{application}/private", auth=("guest", "wrong"))
    assert wrong.status_code == 401
    allowed = client.get(f"{application}/private", auth=("guest", "secret"))
    assert (allowed.status_code, allowed.text) == (200, "Hello guest!\n")
    assert allowed.cookies["visited"] == "yes"


def test_a_stream(application: str, client: Client) -> None:
    response = client.get(f"{application}/numbers")
    assert response.text.split() == [str(number) for number in range(1000)]


def test_a_path_is_cleaned(application: str, client: Client) -> None:
    response = client.get(f"{application}//numbers//?a=1", allow_redirects=False)
    assert (response.status_code, response.headers["Location"]) == (302, "/numbers/?a=1")


def test_the_site(site: str, client: Client) -> None:
    page = client.get(site)
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert '<a href="/squares/12">12 squared</a>' in page.text
    assert client.head(site).headers["Content-Length"] == str(len(page.content))
    assert client.options(site).headers["Allow"] == "GET, HEAD, OPTIONS, POST"


def test_a_variable(site: str, client: Client) -> None:
    assert "<h1>Hello Zoë!</h1>" in client.get(f"{site}/hello/Zoë").text
    assert "<h1>Hello &lt;b&gt;!</h1>" in client.get(f"{site}/hello/%3Cb%3E").text
    assert client.get(f"{site}/squares/twelve").status_code == 404


def test_a_form(site: str, client: Client) -> None:
    response = client.post(site, data={"name": "Zoë & you"})
    assert response.url == f"{site}/hello/Zo%C3%AB%20&%20you"
    assert "<h1>Hello Zoë &amp; you!</h1>" in response.text


def test_content_types(site: str, client: Client) -> None:
    json = client.get(f"{site}/squares/12", headers={"Accept": "application/json"})
    assert json.headers["Content-Type"] == "application/json"
    assert json.json() == {"number": 12, "square": 144}
    html = client.get(f"{site}/squares/12", headers={"Accept": "text/html"})
    assert "12 squared is 144" in html.text
    refused = client.get(f"{site}/squares/12", headers={"Accept": "image/png"})
    assert refused.status_code == 406


def test_methods(site: str, client: Client) -> None:
    assert client.put(f"{site}/notes").status_code == 204
    assert client.delete(f"{site}/notes").status_code == 204
    refused = client.get(f"{site}/notes")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "DELETE, OPTIONS, PUT")


def test_files(site: str, client: Client) -> None:
    content = (TUTORIAL / "files" / "style.css").read_bytes()
    style = client.get(f"{site}/files/style.css")
    assert (style.content, style.headers["Content-Type"]) == (content, "text/css; charset=utf-8")
    same = client.get(style.url, headers={"If-None-Match": style.headers["ETag"]})
    assert (same.status_code, same.content) == (304, b"")
    part = client.get(style.url, headers={"Range": "bytes=2-5"})
    assert (part.status_code, part.content) == (206, content[2:6])
    listed = client.get(f"{site}/files")
    assert listed.url == f"{site}/files/"
    assert '<a href="about.txt">about.txt</a>' in listed.text
    assert client.get(f"{site}/files/..%2frouter_and_files.py").status_code == 404


@pytest.mark.parametrize("script", ["wsgi_application.py", "router_and_files.py"])
def test_as_a_script(start: Start, script: str) -> None:
    server = start(sys.executable, TUTORIAL / script, "-w", "2", "--bind", "127.0.0.1:0")
    assert "Hello World!" in requests.get(server.url, timeout=PATIENCE).text
    assert server.stop() == 0


def test_calculator(calculator: rpc.JsonProxy) -> None:
    assert calculator.ping() == "pong"
    assert calculator.calc.add(3, 4) == 7
    assert calculator.calc.subtract(a=3, b=4) == -1
    assert calculator.calc.divide(3, 4) == 0.75
    with pytest.raises(rpc.InvalidParams) as refused:
        calculator.calc.divide(3, 0)
    assert refused.value.message == "the divisor is 0"
    assert len(calculator.calc.random_walk(500)) == 500
    products = calculator.batch([("calc.multiply", [n, n]) for n in range(20)])
    assert products == [n * n for n in range(20)]
    assert "calc.random_walk" in dict(calculator.functions_list())


def test_calculator_by_any_client(serve_page: Callable[[str], str], client: Client) -> None:
    url = serve_page("calculator")
    call = {"jsonrpc": "2.0", "method": "calc.random_walk", "params": [100], "id": 1}
    response = client.post(url, json=call)
    assert response.headers["Content-Encoding"] == "gzip"
    assert len(response.json()["result"]) == 100
    notification = {"jsonrpc": "2.0", "method": "calc.add", "params": [1, 2]}
    assert client.post(url, json=[notification]).status_code == 204
    assert client.get(url).status_code == 405
    assert client.post(f"{url}/elsewhere", json=call).status_code == 404
