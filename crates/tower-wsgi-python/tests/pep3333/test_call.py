"""How the application is called, and what it may return."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from pep3333.applications.body import ALL, SHAPES
from pep3333.rules import mistake, rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

CALL = "Specification Details"


@rule(CALL, "MUST", "The application is called with two positional arguments, and no others.")
def test_two_positional_arguments(bare: Site) -> None:
    assert bare.get("/arguments").body == b"2 0"


@rule(CALL, "MUST", "`environ` is a builtin dictionary, not a subclass; its names are `str`.")
def test_environ_is_a_dict(bare: Site) -> None:
    told = json.loads(bare.get("/environ").text)
    assert (told["dict"], told["names"]) == (["builtins", "dict"], ["str"])


@rule(
    CALL,
    "MUST",
    "The application may modify the dictionary in any way; the next request has its own.",
)
def test_environ_is_of_one_request(site: Site) -> None:
    first = int(site.get("/change").text)
    assert first > 20
    assert int(site.get("/change").text) == first


@rule(CALL, "MUST", "`start_response` takes two positional arguments and a third that is optional.")
def test_start_response_takes_a_third_argument(site: Site) -> None:
    assert site.get("/keywords").body == b"three"


@rule(CALL, "MUST", "The result is any iterable of zero or more bytestrings.")
@pytest.mark.parametrize("shape", SHAPES)
def test_any_iterable(site: Site, shape: str) -> None:
    response = site.get("/shape", headers=[("X-Shape", shape)])
    assert response.head == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\ndate: DATE\r\n\r\n"
    )
    assert response.coded == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"


@rule(CALL, "MUST", "A subclass of list is iterated by its own `__iter__`.")
def test_a_list_of_another_kind(site: Site) -> None:
    assert site.get("/list_of_mine").chunks == [b"ONE", b"TWO"]


def test_bytes_of_another_kind(bare: Site) -> None:
    assert bare.get("/bytes_of_mine").chunks == [b"one", b"two"]


@rule(CALL, "SHOULD", "The bytestrings are binary: no line ending, no byte is altered.")
def test_bytes_are_not_altered(site: Site) -> None:
    assert site.get("/all_bytes").chunks == [ALL, ALL]
    assert site.get("/large").body == b"x" * (10 << 20)


@rule(CALL, "MUST", "Each bytestring is transmitted before the next one is asked for.")
@rule("Buffering and Streaming", "MUST NOT", "The transmission of a block is not delayed.")
@pytest.mark.parametrize("name", ["step_by_step", "step_by_step_with_length"])
def test_each_chunk_before_the_next(site: Site, name: str) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, f"/{name}", headers=[gate.header])
        head = connection.head()
        assert head.code == 200
        # The application continues only when the chunk is here.
        for chunk in (b"one", b"two", b"three"):
            if name == "step_by_step":
                assert connection.piece() == chunk
            else:
                assert connection._exactly(len(chunk), None) == chunk
            gate.open()
        if name == "step_by_step":
            assert connection.piece() == b""
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"


@rule(
    CALL,
    "MUST NOT",
    "Before the iteration begins, it is not assumed that `start_response` was called.",
)
@mistake(
    "A generator, or a class instance, that calls `start_response` at its first iteration loses its headers."
)
@pytest.mark.parametrize("name", ["generator", "instance"])
def test_start_at_the_first_iteration(site: Site, name: str) -> None:
    response = site.get(f"/{name}")
    assert response.raw == (
        b"HTTP/1.1 201 Created\r\ncontent-type: text/plain\r\nx-lazy: yes\r\ntransfer-encoding: chunked\r\n"
        b"date: DATE\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    )


@rule(CALL, "MUST NOT", "The same, where the first iteration gives nothing, or there is none.")
def test_start_after_an_empty_chunk(bare: Site) -> None:
    response = bare.get("/after_empty")
    assert (response.status_line, response.chunks) == (b"HTTP/1.1 201 Created", [b"one", b"two"])
    response = bare.get("/at_the_end")
    assert (response.status_line, response.body) == (b"HTTP/1.1 201 Created", b"")
    assert response.get(b"x-lazy") == b"yes"


@rule(CALL, "MUST NOT", "No other attributes of the iterable are used.")
def test_no_other_attributes(bare: Site) -> None:
    assert bare.get("/watched").chunks == [b"one", b"two"]
    (seen,) = (event for event in bare.events("closed") if event.startswith("seen"))
    assert set(seen.split()[1:]) <= {"__iter__", "__len__", "close"}


@rule(
    "Thread Support",
    "SHOULD",
    "The call, the iteration and `close()` of a request run on one thread.",
)
@mistake("The iteration runs on the event loop, though the call ran on a thread.")
def test_iteration_and_close_run_where_the_call_ran(site: Site) -> None:
    assert site.get("/where").chunks == [b"same "] * 3
    site.events("same thread True")
