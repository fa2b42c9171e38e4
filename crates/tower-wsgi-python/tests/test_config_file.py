"""Settings from a configuration file, between those of a script and those of its command line."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from conftest import Client, Served

FILE = ("-c", "site.toml")

APPLICATION = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"%d threads" % environ["pulsar.cfg"].thread_workers]
"""

SCRIPT = (
    APPLICATION
    + """
from tower_wsgi import arbiter, wsgi

wsgi.WSGIServer(
    application,
    name="first",
    config="site.toml",
    bind="nowhere",
    thread_workers=1,
    backlog=16,
    request_timeout=5,
    shutdown_delay=0.5,
    readiness_path="/ready",
    max_requests=1000,
    max_lifetime=3600,
    max_rss=1 << 40,
    pid_file="site.pid",
    umask=0o027,
)
wsgi.WSGIServer(application, name="second", bind="127.0.0.1:0", thread_workers=2)
if __name__ == "__main__":
    arbiter().start()
"""
)


def test_the_command_takes_a_file(
    serve: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    (tmp_path / "site.toml").write_text("workers = 1\nthread_workers = 7\n")
    served = serve("app:application", *FILE, source=APPLICATION)
    assert client.get(served.url).text == "7 threads"
    served = serve("app:application", *FILE, "--thread-workers", "8")
    assert client.get(served.url).text == "8 threads"


def test_a_mistake_is_refused_with_its_line(serve: Callable[..., Served], tmp_path: Path) -> None:
    (tmp_path / "site.toml").write_text("workers = 1\n\nthread_worker = 7\n")
    refused = serve("app:application", *FILE, source=APPLICATION, addresses=0)
    assert refused.process.wait(60) == 2
    refused.wait_for_log('error: site.toml:3: unknown key "thread_worker"')


@pytest.mark.parametrize("workers", ["0", "1"])
def test_a_script_names_a_file_and_settings(
    start: Callable[..., Served], client: Client, tmp_path: Path, workers: str
) -> None:
    (tmp_path / "shop.py").write_text(SCRIPT)
    (tmp_path / "site.toml").write_text('bind = "127.0.0.1:0"\nthread_workers = 7\n')
    served = start(sys.executable, "shop.py", "-w", workers, addresses=2)
    # The file is that of the first, which alone has the addresses of the file.
    answers = sorted(client.get(url).text for url in served.urls)
    assert answers == ["2 threads", "7 threads"]
