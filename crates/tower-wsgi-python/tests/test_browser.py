"""Django's admin, as a user has it: in a browser. ``SCREENSHOTS=DIRECTORY`` keeps what it shows."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from browser import browsing

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

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
