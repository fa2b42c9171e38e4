"""The Django chat of the examples: in a browser, on one worker and on several."""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests
from browser import Browser, browsing
from conftest import PATIENCE
from postgresql import postgresql_server  # noqa: F401  (a fixture)
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from conftest import Served
    from postgresql import Postgresql
    from websockets.sync.client import ClientConnection


MANAGE = Path(__file__).parents[3] / "examples" / "python" / "django_chat" / "manage.py"
PULSE = (sys.executable, MANAGE, "pulse", "--bind", "127.0.0.1:0")
# So that nothing is written where the sources are.
ENV = {"PYTHONDONTWRITEBYTECODE": "1", "DATABASE_URL": ""}

# What the page shows of its connection, from now on.
RECORD = """
    window.states = [];
    new MutationObserver(() => states.push(document.querySelector("#state").innerText))
        .observe(document.querySelector("#state"), {childList: true});
"""
RECONNECTED = "states.some((state) => state.includes('1001')) && states.at(-1) === 'connected'"


def say(page: Browser, name: str, text: str) -> None:
    page.evaluate("document.querySelector('#name').value = ''")
    page.type("#name", name)
    page.type("#text", text)
    page.press("button")


def hears(page: Browser, line: str) -> None:
    lines = "[...document.querySelectorAll('#messages li')].map((line) => line.innerText)"
    page.wait_until(f"{lines}.includes({line!r})")


def enter(page: Browser, server: Served) -> None:
    page.open(server.url)
    page.wait_until("document.querySelector('#state').innerText === 'connected'")
    page.evaluate(RECORD)


def chat_across_a_reload(
    start: Callable[..., Served], directory: Path, options: tuple[str, ...], env: Mapping[str, str]
) -> None:
    with browsing(directory) as one:
        server = start(*PULSE, *options, env=env)
        two = one.tab()
        for page in (one, two):
            enter(page, server)
        say(one, "zoë", "is <b>anyone</b> here?")
        for page in (one, two):
            hears(page, "zoë: is <b>anyone</b> here?")
        say(two, "max", "I am")
        hears(one, "max: I am")

        server.process.send_signal(signal.SIGHUP)
        server.wait_for_log("reloaded")
        for page in (one, two):
            page.wait_until(RECONNECTED)
        say(two, "max", "and still am")
        for page in (one, two):
            hears(page, "zoë: is <b>anyone</b> here?")
            hears(page, "max: and still am")
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_two_tabs_without_a_database(start: Callable[..., Served], tmp_path: Path) -> None:
    chat_across_a_reload(start, tmp_path, (), ENV)


@pytest.fixture
def database(start: Callable[..., Served], postgresql: Postgresql) -> Mapping[str, str]:
    env = {**ENV, "DATABASE_URL": f"postgres://postgres@/postgres?host={postgresql.directory}"}
    migrated = start(sys.executable, MANAGE, "migrate", env=env, addresses=0)
    assert migrated.wait() == 0, migrated.log
    return env


def test_two_tabs_with_postgresql(
    start: Callable[..., Served], tmp_path: Path, database: Mapping[str, str]
) -> None:
    chat_across_a_reload(start, tmp_path, ("--workers", "2"), database)


def test_the_clients_of_all_workers_hear_each_other(
    start: Callable[..., Served], postgresql: Postgresql, database: Mapping[str, str]
) -> None:
    server = start(*PULSE, "--workers", "2", env=database)
    url = server.url.replace("http", "ws") + "/message"
    with ExitStack() as stack:
        clients: list[ClientConnection] = []
        # A worker listens to the database from its first client on.
        deadline = time.monotonic() + PATIENCE
        while postgresql.connections("chat-listener") < 2:
            assert time.monotonic() < deadline, "one worker gets no client"
            clients.append(stack.enter_context(connect(url)))
        for number, client in enumerate(clients):
            client.send(json.dumps({"name": f"client {number}", "text": "hello"}))
        expected = {f"client {number}" for number in range(len(clients))}
        for client in clients:
            heard: set[str] = set()
            while not expected <= heard:
                heard.add(json.loads(client.recv(PATIENCE))["name"])
        clients[0].send("no JSON")
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                clients[0].recv(PATIENCE)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008
    assert server.stop() == 0
    assert "Traceback" not in server.log


def test_the_chat_says_that_it_has_no_database(start: Callable[..., Served]) -> None:
    server = start(*PULSE, env=ENV)
    assert "There is no DATABASE_URL" in server.log
    assert "workers=1" in server.log
    assert server.stop() == 0
    server = start(*PULSE, "--workers", "2", env=ENV)
    response = requests.get(server.url, timeout=PATIENCE)
    assert response.status_code == 503
    assert "--workers 1" in response.text
    assert server.stop() == 0
