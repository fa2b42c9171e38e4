"""Memory that large bodies have used is kept for the next ones, and given back when none come."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest
from conftest import PATIENCE
from processes import memory, most_memory, wait_until, workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Served

LARGE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    blocks = [b"x" * (1 << 20) for _ in range(60)]
    return [blocks[0][:2]]
"""

SENT = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"x" * (60 << 20)]
"""


@pytest.mark.parametrize("source", [LARGE, SENT], ids=["used", "sent"])
def test_memory_is_given_back_when_it_is_not_used_for_a_while(
    serve: Callable[..., Served], source: str
) -> None:
    server = serve("app:application", "--workers", "1", "--thread-workers", "2", source=source)
    (worker,) = workers(server)
    before = memory(worker)
    with urlopen(server.url, timeout=PATIENCE) as response:
        assert response.read().startswith(b"xx")
    assert most_memory(worker) > before + (50 << 20)
    wait_until(lambda: memory(worker) < before + (20 << 20))
