"""Rules that an option is for; and the document."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pep3333.conftest import Site, start
from pep3333.rules import DOCUMENT, rule, table

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def special(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """A server with options of its own."""
    sites: list[Site] = []

    def special(mode: str, *options: str) -> Site:
        site = start(mode, tmp_path, *options)
        sites.append(site)
        site.begin(validated=False)
        return site

    yield special
    for site in sites:
        site.served.end()


@rule(
    "environ Variables",
    "MUST",
    "`SCRIPT_NAME` is where the application is mounted, `PATH_INFO` the rest.",
)
def test_script_name(special: Callable[..., Site]) -> None:
    site = special("pool", "--script-name", "/shop")
    for target, path in [
        ("/shop/environ/a%20b", "/environ/a b"),
        ("/%73hop/environ", "/environ"),
        # A proxy may have cut the name off.
        ("/environ", "/environ"),
    ]:
        values = json.loads(site.get(target).text)["values"]
        assert (values["SCRIPT_NAME"], values["PATH_INFO"], values["REQUEST_URI"]) == (
            "/shop",
            path,
            target,
        )


@rule("Thread Support", "SHOULD", "With one thread `wsgi.multithread` is false, on a pool, too.")
def test_one_thread(special: Callable[..., Site]) -> None:
    site = special("one thread")
    assert json.loads(site.get("/environ").text)["values"]["wsgi.multithread"] is False


@rule("Application Configuration", "SHOULD", "A deployer can give variables to the application.")
def test_variables_of_the_deployer(special: Callable[..., Site]) -> None:
    site = special("pool", "--env", "PEP3333_MINE=yes")
    assert site.get("/os_environ", headers=[("X-Name", "PEP3333_MINE")]).text == "yes"


def test_the_document() -> None:
    # `python -m pep3333.rules --write` writes it.
    assert DOCUMENT.read_text() == table()
