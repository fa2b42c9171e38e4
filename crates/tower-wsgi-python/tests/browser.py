"""A real browser, Chromium without a window, by its DevTools protocol.

The protocol goes over a pipe, which needs no driver and no other package:
https://chromedevtools.github.io/devtools-protocol/.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # Only what the test serves.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    "--window-size=1200,900",
    "--remote-debugging-pipe",
)

# The browser reads the protocol from descriptor 3 and writes it to 4: here both are one socket.
LAUNCH = """
import os, sys
for end in (3, 4):
    os.dup2(int(sys.argv[1]), end)
os.execv(sys.argv[2], sys.argv[2:])
"""


class Protocol:
    """The requests to the browser and its messages, which all pages share."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._rest = b""
        self._number = 0
        self.events: list[dict[str, Any]] = []

    def ask(self, method: str, session: str | None, **params: Any) -> dict[str, Any]:
        """Send a request to a page, or without one to the browser, and wait for the response."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        self._connection.sendall(json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + PATIENCE
        while True:
            response = self.receive(deadline)
            if response.get("id") == self._number:
                assert "error" not in response, f"{method}: {response['error']}"
                result: dict[str, Any] = response["result"]
                return result
            self.events.append(response)

    def receive(self, deadline: float) -> dict[str, Any]:
        """Wait for the next message."""
        while b"\0" not in self._rest:
            self._connection.settimeout(max(0.001, deadline - time.monotonic()))
            piece = self._connection.recv(1 << 16)
            assert piece, "the browser has ended"
            self._rest += piece
        message, self._rest = self._rest.split(b"\0", 1)
        received: dict[str, Any] = json.loads(message)
        return received


class Browser:
    """One page of the browser, which does what a user does: opens, clicks, types, reads."""

    def __init__(self, protocol: Protocol) -> None:
        self._protocol = protocol
        self._session: str | None = None
        target = self._ask("Target.createTarget", url="about:blank")["targetId"]
        attached = self._ask("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Network"):
            self._ask(f"{domain}.enable")
        self.responses: list[tuple[int, str]] = []

    def open(self, url: str) -> None:
        """Go to an address, and wait until the page is there with all that belongs to it."""
        with self._loading():
            assert "errorText" not in self._ask("Page.navigate", url=url)

    def click(self, selector: str) -> None:
        """Click on what a CSS selector names, and wait for the page that follows."""
        with self._loading():
            self.press(selector)

    def press(self, selector: str) -> None:
        """Click on what a CSS selector names, which leads to no other page."""
        place = self.evaluate(
            f"""(() => {{
                const found = document.querySelector({json.dumps(selector)});
                if (!found) return null;
                found.scrollIntoView({{block: "center", behavior: "instant"}});
                const {{x, y, width, height}} = found.getBoundingClientRect();
                return {{x: x + width / 2, y: y + height / 2}};
            }})()"""
        )
        assert place, f"there is no {selector} on {self.evaluate('document.URL')}"
        for kind in ("mousePressed", "mouseReleased"):
            self._ask("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def type(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.press(selector)
        self._ask("Input.insertText", text=text)

    def text(self, selector: str = "body") -> str:
        """What a user reads there."""
        text = self.evaluate(f"document.querySelector({json.dumps(selector)})?.innerText")
        assert isinstance(text, str), f"there is no {selector} on {self.evaluate('document.URL')}"
        return text

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression."""
        response = self._ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in response, response
        return response["result"].get("value")

    def wait_until(self, expression: str) -> None:
        """Wait until a JavaScript expression is true."""
        deadline = time.monotonic() + PATIENCE
        while not self.evaluate(expression):
            assert time.monotonic() < deadline, f"{expression} stays false:\n{self.text()}"
            time.sleep(0.01)

    def tab(self) -> Browser:
        """Open another page of the same browser."""
        return Browser(self._protocol)

    def screenshot(self, path: Path) -> None:
        """Write what a user sees to a PNG file."""
        path.write_bytes(base64.b64decode(self._ask("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        """Let the browser end."""
        self._session = None
        self._ask("Browser.close")

    @contextmanager
    def _loading(self) -> Iterator[None]:
        self._protocol.events.clear()
        yield
        deadline = time.monotonic() + PATIENCE
        while not any(event["method"] == "Page.loadEventFired" for event in self._events()):
            self._protocol.events.append(self._protocol.receive(deadline))
        for event in self._events():
            if event["method"] == "Network.responseReceived":
                response = event["params"]["response"]
                self.responses.append((response["status"], response["url"]))

    def _events(self) -> list[dict[str, Any]]:
        events = self._protocol.events
        return [event for event in events if event.get("sessionId") == self._session]

    def _ask(self, method: str, **params: Any) -> dict[str, Any]:
        return self._protocol.ask(method, self._session, **params)


@contextmanager
def browsing(directory: Path, *flags: str) -> Iterator[Browser]:
    """Start a browser that keeps what it has in ``directory``, with more ``flags``."""
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing = "there is no Chromium: on Debian `apt-get install chromium`"
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    ours, its = socket.socketpair()
    with ours, (directory / "browser.log").open("wb") as log:
        with its:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-c", LAUNCH, str(its.fileno()), program),
                    *FLAGS,
                    *flags,
                    f"--user-data-dir={directory / 'profile'}",
                ],
                env={**os.environ, "HOME": str(directory)},
                pass_fds=[its.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        try:
            browser = Browser(Protocol(ours))
            yield browser
            browser.close()
            process.wait(PATIENCE)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait(PATIENCE)
