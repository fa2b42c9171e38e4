"""Django's admin, as a user has it: in a browser. ``SCREENSHOTS=DIRECTORY`` keeps what it shows."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Client, Served

PRODUCTION = """
from mysite.settings import *

DEBUG = False
STATIC_ROOT = {root!r}
STORAGES = {{
    "default": {{"BACKEND": "django.core.files.storage.FileSystemStorage"}},
    "staticfiles": {{
        "BACKEND": "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    }},
}}
"""
MANAGE = Path(__file__).parents[3] / "examples" / "python" / "django_site" / "manage.py"


def test_the_admin_in_a_browser(start: Callable[..., Served], tmp_path: Path) -> None:
    # So that nothing is written where the sources are.
    env = {
        "LIBRARY_DATA": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "DJANGO_SUPERUSER_PASSWORD": "pass & word",
    }

    def run(*arguments: str) -> None:
        ended = start(sys.executable, MANAGE, *arguments, env=env, addresses=0)
        assert ended.wait() == 0, ended.log

    run("migrate")
    run("createsuperuser", "--noinput", "--username", "zoë", "--email", "zoe@example.org")
    screenshots = Path(os.environ.get("SCREENSHOTS", tmp_path))
    with browsing(tmp_path) as browser:
        server = start(
            *(sys.executable, MANAGE, "pulse", "-w", "2", "--bind", "127.0.0.1:0"), env=env
        )
        browser.open(f"{server.url}/admin/")
        assert "Log in" in browser.evaluate("document.title")
        browser.type("#id_username", "zoë")
        browser.type("#id_password", "not the word")
        browser.click("[type=submit]")
        assert "Please enter the correct username and password" in browser.text()
        browser.type("#id_password", "pass & word")
        browser.click("[type=submit]")
        assert "Site administration" in browser.text("h1")
        # The style sheets are there: this is what they make of the header.
        header = "getComputedStyle(document.querySelector('#header')).display"
        assert browser.evaluate(header) == "flex"

        browser.click(".model-book .addlink")
        browser.type("#id_title", "Émile, ou De l'éducation")
        browser.type("#id_author", "Jean-Jacques Rousseau")
        browser.type("#id_year", "1762")
        browser.click("[name=_save]")
        assert "was added successfully" in browser.text(".messagelist .success")
        listed = browser.text("#result_list tbody tr")
        for shown in ("Émile, ou De l'éducation", "Jean-Jacques Rousseau", "1762"):
            assert shown in listed
        assert "1 book" in browser.text(".paginator")
        browser.screenshot(screenshots / "admin-list.png")

        browser.type("#searchbar", "rousseau")
        browser.click("#changelist-search [type=submit]")
        assert "?q=rousseau" in browser.evaluate("document.URL")
        assert "Jean-Jacques Rousseau" in browser.text("#result_list tbody tr")
        browser.open(f"{server.url}/")
        assert "Rousseau (1762)" in browser.text("li")
        browser.screenshot(screenshots / "books.png")

        browser.open(f"{server.url}/admin/")
        browser.click("#logout-form [type=submit]")
        assert "Logged out" in browser.text("h1")
        browser.open(f"{server.url}/admin/")
        assert "Log in" in browser.evaluate("document.title")
    # The site has no icon; everything else that the browser asked for was there.
    missing = {url for status, url in browser.responses if status >= 400}
    assert missing <= {f"{server.url}/favicon.ico"}
    sheets = [url for _, url in browser.responses if url.endswith(".css")]
    assert len(sheets) > 4
    # The browser has kept connections open, and is gone: the stop is not held up.
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_the_admin_with_static_files_of_the_server(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    """As in production: ``DEBUG`` is off, the files are collected, and there is no WhiteNoise."""
    root = tmp_path / "collected"
    (tmp_path / "production.py").write_text(PRODUCTION.format(root=str(root)))
    env = {
        "LIBRARY_DATA": str(tmp_path),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONPATH": f"{tmp_path}:{MANAGE.parent}",
        "DJANGO_SETTINGS_MODULE": "production",
        "DJANGO_SUPERUSER_PASSWORD": "pass & word",
    }
    for arguments in (
        "migrate",
        "createsuperuser --noinput --username ann --email ann@example.org",
        "collectstatic --noinput",
    ):
        ended = start(sys.executable, MANAGE, *arguments.split(), env=env, addresses=0)
        assert ended.wait() == 0, ended.log
    with browsing(tmp_path) as browser:
        for command in (
            ["-m", "tower_wsgi", "mysite.wsgi", "--static", f"/static={root}"],
            [MANAGE, "pulse"],
        ):
            server = start(*(sys.executable, *command, "-w", "1", "--bind", "127.0.0.1:0"), env=env)
            browser.responses.clear()
            browser.open(f"{server.url}/admin/")
            browser.type("#id_username", "ann")
            browser.type("#id_password", "pass & word")
            browser.click("[type=submit]")
            assert "Site administration" in browser.text("h1")
            header = "getComputedStyle(document.querySelector('#header')).display"
            assert browser.evaluate(header) == "flex"
            # A script of the admin has run.
            browser.wait_until("document.documentElement.dataset.theme !== undefined")
            assert_files_are_the_servers(client, server, browser.responses)
            browser.click("#logout-form [type=submit]")


def assert_files_are_the_servers(
    client: Client, server: Served, responses: list[tuple[int, str]]
) -> None:
    """Check that a browser has got the collected files, which it may keep for ever."""
    missing = {url for status, url in responses if status >= 400}
    assert missing <= {f"{server.url}/favicon.ico"}
    files = {url for _, url in responses if "/static/" in url}
    assert len(files) > 5
    for url in files:
        assert re.search(r"\.[0-9a-f]{12}\.(css|js|svg)$", url), url
        response = client.get(url)
        assert response.headers["cache-control"] == "public, max-age=31536000, immutable"
        same = {"if-none-match": response.headers["etag"]}
        assert client.get(url, headers=same).status_code == 304
    # Below the path of the files, what is no file is Django's.
    response = client.get(f"{server.url}/static/missing.css")
    assert response.status_code == 404
    assert "Not Found" in response.text
