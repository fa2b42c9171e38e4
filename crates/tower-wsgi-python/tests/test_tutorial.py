"""Pulsar's first tutorial, each script started as its text says. More is in `test_examples.py`."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from conftest import PATIENCE
from processes import workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

TUTORIAL = Path(__file__).parents[3] / "examples" / "python" / "tutorial"
SCRIPTS = sorted(script.name for script in TUTORIAL.glob("*.py"))
FIRST, SECOND = "http://127.0.0.1:8000", "http://127.0.0.1:8070"


@pytest.fixture
def run(start: Callable[..., Served]) -> Callable[..., Served]:
    """Run a script on the addresses that it has: ``run(script, *options, addresses=1)``."""

    def run(script: str, *options: str, addresses: int = 1) -> Served:
        server = start(sys.executable, TUTORIAL / script, *options, addresses=0)
        try:
            server.wait_until_ready(addresses)
        except AssertionError:
            if "in use" not in server.log or os.environ.get("CI") == "true":
                raise
            pytest.skip("another program listens where the tutorial does")
        return server

    return run


def test_the_scripts_differ_from_pulsars_by_an_import() -> None:
    assert len(SCRIPTS) >= 5
    for script in SCRIPTS:
        lines = (TUTORIAL / script).read_text().splitlines()
        (imported,) = (line for line in lines if line.startswith("from tower_wsgi"))
        names = imported.removeprefix("from tower_wsgi import ")
        assert names in ("wsgi", "arbiter, wsgi", "rpc, wsgi")


@pytest.mark.parametrize("options", ["", "--workers 4"])
def test_setting_up(run: Callable[..., Served], options: str) -> None:
    server = run("1_setting_up.py", *options.split())
    assert server.urls == [FIRST]
    assert requests.get(FIRST, timeout=PATIENCE).text == "Hello World!\n"
    if options:
        assert len(workers(server)) == 4
    assert server.stop() == 0


@pytest.mark.parametrize("options", ["", "-w 4 --thread-workers 10"])
def test_blocking(run: Callable[..., Served], options: str) -> None:
    server = run("2_blocking.py", *options.split())
    response = requests.post(FIRST, data=b"some text", timeout=PATIENCE)
    assert response.text == "SOME TEXT"
    if options:
        assert len(workers(server)) == 4
    assert server.stop() == 0


def test_two_applications(run: Callable[..., Served]) -> None:
    server = run("3_two_applications.py", "-w", "2", addresses=2)
    assert sorted(server.urls) == [FIRST, SECOND]
    # One supervisor has the workers of both.
    assert len(workers(server)) == 4
    for url, which in [(FIRST, "first"), (SECOND, "second")]:
        assert requests.get(url, timeout=PATIENCE).text == f"This is the {which} application.\n"
    assert server.stop() == 0


def test_ten_threads_block_at_once(start: Callable[..., Served], tmp_path: Path) -> None:
    # Instead of a time they wait for each other: none of them continues before ten are there.
    source = (TUTORIAL / "2_blocking.py").read_text()
    script = tmp_path / "blocking.py"
    waiting = "__import__('threading').Barrier(10).wait"
    assert "    time.sleep(0.2)\n" in source
    source = source.replace("time.sleep(0.2)", "meet(60)")
    script.write_text(source.replace("import time\n", f"import time\n\nmeet = {waiting}\n"))
    options = ("-w", "1", "--thread-workers", "10", "--bind", "127.0.0.1:0")
    server = start(sys.executable, script, *options)
    responses: list[int] = []

    def post() -> None:
        responses.append(requests.post(server.url, data=b"text", timeout=PATIENCE).status_code)

    callers = [threading.Thread(target=post) for _ in range(10)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join(2 * PATIENCE)
    assert responses == [200] * 10


@pytest.mark.parametrize("script", SCRIPTS)
def test_help(start: Callable[..., Served], script: str) -> None:
    helped = start(sys.executable, TUTORIAL / script, "--help", addresses=0)
    assert helped.wait() == 0
    assert f"{script} [OPTIONS]" in helped.log
    for option in ("--workers", "--thread-workers", "--bind"):
        assert option in helped.log
