"""Settings from a configuration file, between those of a script and those of its command line."""

from __future__ import annotations

import signal
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
    responses = sorted(client.get(url).text for url in served.urls)
    assert responses == ["2 threads", "7 threads"]


SURROUNDED = """
import os
def application(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "text/plain")])
    cfg = environ["pulsar.cfg"]
    values = (NAME, os.environ.get("A"), os.environ.get("B"), os.getcwd().rsplit("/")[-1])
    return [" ".join(map(str, (*values, environ["SCRIPT_NAME"], cfg.max_body))).encode()]
"""


def test_a_file_names_the_application_and_its_surroundings_and_a_reload_reads_them_again(
    start: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    for directory, name in [("here", "one"), ("there", "two")]:
        (tmp_path / directory).mkdir()
        source = f"NAME = {name!r}\n{SURROUNDED}"
        (tmp_path / directory / f"{name}.py").write_text(source)
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "three.py").write_text(f"NAME = 'three'\n{SURROUNDED}")
    file = tmp_path / "shop.toml"
    bind = 'bind = "127.0.0.1:0"\nworkers = 1\n'
    file.write_text(
        bind
        + """
application = "one:application"
chdir = "here"
script_name = "/shop"
max_body = "1K"
env = { A = "1", B = "2" }
"""
    )

    # So that no connection waits in a worker that is retired.
    client.headers["Connection"] = "close"
    command = (sys.executable, "-m", "tower_wsgi", "-c", "shop.toml", "--env", "B=3")
    served = start(*command)
    assert 'server="shop"' in served.log
    url = f"{served.url}/shop/"
    assert client.get(url).text == "one 1 3 here /shop 1024"
    assert client.post(url, data=b"x" * 1025).status_code == 413

    file.write_text(
        f"""{bind}
application = "two:application"
chdir = "there"
[env]
A = "4"
"""
    )
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log("retired worker ended")
    assert client.get(served.url).text == f"two 4 3 there  {1 << 30}"

    lib = tmp_path / "lib"
    file.write_text(f'{bind}application = "three"\npythonpath = ["{lib}"]\n')
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log("retired worker ended")
    assert client.get(served.url).text.startswith("three None 3 ")

    file.write_text(f"{bind}max_body = '10KB'\n")
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log(r"reload refused.*shop.toml:3: max_body: expected a size")
    file.write_text(bind)
    served.process.send_signal(signal.SIGHUP)
    served.wait_for_log(r"reload failed.*there is no application to serve")
    assert client.get(served.url).text.startswith("three None 3 ")


def test_the_command_line_goes_over_the_application_of_the_file(
    serve: Callable[..., Served], client: Client, tmp_path: Path
) -> None:
    (tmp_path / "site.toml").write_text(
        "workers = 1\napplication = 'nowhere'\nchdir = '/nonexistent'\nmax_body = 5\n"
    )
    options = ("--chdir", ".", "--max-body", "10M")
    source = f"NAME = 'app'\n{SURROUNDED}"
    served = serve("app:application", *FILE, *options, source=source)
    assert client.get(served.url).text.endswith(f" {10 << 20}")
