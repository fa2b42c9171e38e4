"""Whether a client is heard in time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from notes import not_applicable

from pep3333.rules import rule

if TYPE_CHECKING:
    from pep3333.conftest import Site


@rule("Buffering and Streaming", "MUST NOT", "Another client's response is not delayed, either.")
def test_two_at_a_time(site: Site) -> None:
    if site.mode == "loop":
        not_applicable("an application that waits holds the event loop, which is its only thread")
    gate = site.gate()
    with site.connect() as first, site.connect() as second:
        site.request(first, "/step_by_step", headers=[gate.header])
        assert first.head().code == 200
        assert first.piece() == b"one"
        site.request(second, "/all_bytes")
        assert len(second.response().chunks) == 2
        for chunk in (b"two", b"three", b""):
            gate.open()
            assert first.piece() == chunk


@rule(
    "Buffering and Streaming", "MUST", "The last chunk, too, is sent before the application closes."
)
def test_the_end_before_the_close(site: Site) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/slow_to_close", headers=[gate.header])
        connection.head()
        assert connection.piece() == b"one"
        assert connection.piece() == b"two"
        gate.open()
        assert connection.piece() == b""
    site.events("closed")
