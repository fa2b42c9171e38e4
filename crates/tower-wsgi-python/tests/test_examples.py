"""The examples, in processes of their own."""

from __future__ import annotations

import json
import re
import shutil
import signal
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"
FREE_PORT = ("--bind", "127.0.0.1:0")


def get(url: str) -> requests.Response:
    return requests.get(url, timeout=PATIENCE)


def test_hello_by_the_command(start: Callable[..., Served]) -> None:
    command = [sys.executable, "-m", "tower_wsgi", "hello", "--chdir", EXAMPLES, "-w", "2"]
    server = start(*command, *FREE_PORT)
    assert get(server.url).text == "Hello World!\n"
    assert get(f"{server.url}/Zoë").text == "Hello Zoë!\n"
    assert server.stop() == 0


def test_hello_as_a_script(start: Callable[..., Served]) -> None:
    server = start(sys.executable, EXAMPLES / "hello.py", "--workers", "2", *FREE_PORT)
    assert get(server.url).text == "Hello World!\n"
    assert server.stop(signal.SIGINT) == 0


def test_a_script_has_options(start: Callable[..., Served]) -> None:
    script = EXAMPLES / "hello.py"
    helped = start(sys.executable, script, "--help", addresses=0)
    assert helped.wait() == 0
    assert "Says hello" in helped.log
    assert "hello.py [OPTIONS]" in helped.log
    assert "--thread-workers" in helped.log
    refused = start(sys.executable, script, "--nonsense", addresses=0)
    assert refused.wait() == 2
    assert "--nonsense" in refused.log


@pytest.mark.parametrize("options", [(), ("--workers", "4")])
def test_tutorial_setting_up(start: Callable[..., Served], options: tuple[str, ...]) -> None:
    script = EXAMPLES / "tutorial" / "1_setting_up.py"
    server = start(sys.executable, script, *options, *FREE_PORT)
    assert get(server.url).text == "Hello World!\n"
    assert server.stop() == 0


def test_tutorial_blocking(start: Callable[..., Served]) -> None:
    script = EXAMPLES / "tutorial" / "2_blocking.py"
    server = start(sys.executable, script, "-w", "4", "--thread-workers", "10", *FREE_PORT)
    responses: list[str] = []

    def post(text: str) -> None:
        responses.append(requests.post(server.url, data=text, timeout=PATIENCE).text)

    threads = [threading.Thread(target=post, args=[f"text {n}"]) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert sorted(responses) == sorted(f"TEXT {n}" for n in range(40))
    assert server.stop() == 0


def test_tutorial_two_applications(start: Callable[..., Served], tmp_path: Path) -> None:
    # The second has its port in the script: another script may listen there.
    source = (EXAMPLES / "tutorial" / "3_two_applications.py").read_text()
    assert "bind=8070" in source
    script = tmp_path / "two.py"
    script.write_text(source.replace("bind=8070", 'bind="127.0.0.1:0"'))
    server = start(sys.executable, script, "-w", "1", *FREE_PORT, addresses=2)
    pages = {get(url).text for url in server.urls}
    assert pages == {"This is the first application.\n", "This is the second application.\n"}
    assert server.stop() == 0


def test_flask_app(start: Callable[..., Served], tmp_path: Path) -> None:
    directory = EXAMPLES / "flask_app"
    command = [sys.executable, "-m", "tower_wsgi", "app:create_app()", "--chdir", directory]
    server = start(*command, "-w", "2", *FREE_PORT, env={"BOARD_DATA": str(tmp_path)})
    content = bytes(range(256)) * 10_000
    with requests.Session() as client:
        page = client.get(server.url, timeout=PATIENCE).text
        assert "There is no notice yet." in page
        page = client.post(
            f"{server.url}/notices",
            data={"author": "Zoë", "text": "a <bold> notice"},
            files={"file": ("../ä.bin", content)},
            timeout=PATIENCE,
        ).text
        assert "a &lt;bold&gt; notice" in page
        # The session remembers the name.
        assert 'value="Zoë"' in page
        link = re.search(r'href="(/notices/\d+/file)"', page)
        assert link is not None
        download = client.get(server.url + link[1], timeout=PATIENCE)
        assert download.content == content
        assert "attachment" in download.headers["Content-Disposition"]
        page = client.post(f"{server.url}/notices", timeout=PATIENCE).text
        assert "A notice needs a name and a text." in page
        assert client.get(f"{server.url}/notices/99/file", timeout=PATIENCE).status_code == 404
    assert server.stop() == 0


def test_django_site(start: Callable[..., Served], tmp_path: Path) -> None:
    manage = EXAMPLES / "django_site" / "manage.py"
    # So that nothing is written where the sources are.
    env = {
        "LIBRARY_DATA": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SUPERUSER_PASSWORD": "pass & word",
    }

    def run(*arguments: str) -> None:
        ended = start(sys.executable, manage, *arguments, env=env, addresses=0)
        assert ended.wait() == 0, ended.log

    run("migrate")
    run("createsuperuser", "--noinput", "--username", "me", "--email", "me@example.org")
    pulse = (sys.executable, manage, "pulse")
    server = start(*pulse, "127.0.0.1:0", "-w", "2", "--thread-workers", "4", env=env)
    with requests.Session() as client:
        assert "There is no book yet" in client.get(server.url, timeout=PATIENCE).text
        for name in ("library/books.css", "admin/css/base.css"):
            sheet = client.get(f"{server.url}/static/{name}", timeout=PATIENCE)
            assert sheet.status_code == 200
            assert sheet.headers["Content-Type"] == "text/css"

        def submit(path: str, **fields: str) -> requests.Response:
            page = client.get(server.url + path, timeout=PATIENCE)
            token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
            assert token is not None
            fields["csrfmiddlewaretoken"] = token[1]
            return client.post(page.url, data=fields, timeout=PATIENCE)

        page = submit("/admin/login/?next=/admin/", username="me", password="pass & word")
        assert "Site administration" in page.text
        page = submit("/admin/library/book/add/", title="Émile", author="Rousseau", year="1762")
        assert "was added successfully" in page.text
        assert "<cite>Émile</cite>, by Rousseau (1762)" in client.get(server.url).text
    assert server.stop() == 0
    nostatic = start(*pulse, "--nostatic", "--workers=1", *FREE_PORT, env=env)
    assert get(f"{nostatic.url}/static/library/books.css").status_code == 404
    assert nostatic.stop() == 0


def test_pulse_says_what_it_can_do(start: Callable[..., Served], tmp_path: Path) -> None:
    manage = EXAMPLES / "django_site" / "manage.py"
    env = {"LIBRARY_DATA": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    for arguments in (["pulse", "--help"], ["help", "pulse"]):
        helped = start(sys.executable, manage, *arguments, env=env, addresses=0)
        assert helped.wait() == 0, helped.log
        for text in ("manage.py pulse [ADDRESS]", "--nostatic", "--settings", "--thread-workers"):
            assert text in helped.log
    refused = start(sys.executable, manage, "pulse", "--nonsense", env=env, addresses=0)
    assert refused.wait() == 2
    assert "--nonsense" in refused.log


def test_a_django_project_with_errors_does_not_start(
    start: Callable[..., Served], tmp_path: Path
) -> None:
    site = tmp_path / "site"
    shutil.copytree(EXAMPLES / "django_site", site)
    settings = site / "mysite" / "settings.py"
    settings.write_text(settings.read_text().replace('STATIC_URL = "static/"', "ROOT_URLCONF = 1"))
    env = {"LIBRARY_DATA": str(tmp_path)}
    ended = start(sys.executable, site / "manage.py", "pulse", *FREE_PORT, env=env, addresses=0)
    assert ended.wait() not in (0, None)
    assert "Traceback" in ended.log


def test_the_log_of_a_server_tells_its_address(start: Callable[..., Served]) -> None:
    script = EXAMPLES / "hello.py"
    server = start(sys.executable, script, *FREE_PORT, "-w", "1", "--log-format", "json")
    assert server.url.startswith("http://127.0.0.1:")
    server.stop()
    for line in server.log.splitlines():
        assert json.loads(line)
