"""close(), once, on every path. That it is not called twice is checked when the server stops, for all tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from notes import not_applicable

from pep3333.rules import mistake, rule
from pep3333.test_start_response import broken

if TYPE_CHECKING:
    from pep3333.conftest import Site

CALL = "Specification Details"


def closed_once(site: Site, event: str = "closed") -> None:
    site.events(event)
    # Another request would show a second close: everything is recorded before its mark.
    site.get("/mark")
    assert site.events("marked").count(event) == 1


@rule(CALL, "MUST", "`close()` is called when the request is completed.")
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("name", ["closing", "closing_nothing"])
def test_closed_at_the_end(site: Site, name: str, method: str) -> None:
    assert site.get(f"/{name}", method).code == 200
    closed_once(site)


@rule(CALL, "MUST", "Also of lists and tuples of another kind, and of generators.")
@pytest.mark.parametrize("shape", ["list", "tuple"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_sequences_are_closed(bare: Site, shape: str, method: str) -> None:
    bare.get("/closing_sequence", method, headers=[("X-Shape", shape)])
    closed_once(bare)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_generators_are_closed(site: Site, method: str) -> None:
    site.get("/closing_generator", method)
    closed_once(site, "finally")


@rule(CALL, "MUST", "Where the status has no body.")
@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_closed_without_a_body(site: Site, status: str) -> None:
    site.get("/closing_status", headers=[("X-Status", status)])
    closed_once(site)


@rule(CALL, "MUST", "After an error in the iteration, at once or later.")
@pytest.mark.parametrize("name", ["fails_at_first", "fails_later"])
def test_closed_after_an_error(site: Site, name: str) -> None:
    headers = [("X-Error", "ValueError")]
    if name == "fails_later":
        broken(site, f"/{name}", headers=headers)
    else:
        site.get(f"/{name}", headers=headers)
    closed_once(site)


@rule(CALL, "MUST", "After a chunk that is none, and where no response was started.")
@pytest.mark.parametrize("headers", [[], [("X-Later", "1")]])
def test_closed_after_a_wrong_chunk(bare: Site, headers: list[tuple[str, str]]) -> None:
    if headers:
        broken(bare, "/closing_wrong", headers=headers)
    else:
        assert bare.get("/closing_wrong").code == 500
    closed_once(bare)


@pytest.mark.parametrize(
    "name", ["closing_unstarted", "closing_no_iterator", "closing_not_iterable"]
)
def test_closed_where_nothing_was_iterated(bare: Site, name: str) -> None:
    assert bare.get(f"/{name}").code == 500
    closed_once(bare)


@rule(CALL, "MUST", "With more or less than the `Content-Length`.")
@pytest.mark.parametrize("length", ["0", "2", "5", "20"])
def test_closed_with_a_wrong_length(site: Site, length: str) -> None:
    headers = [("X-Length", length), ("X-Chunks", "[b'abc', b'def']")]
    if length == "20":
        broken(site, "/length", headers=headers)
    else:
        site.get("/length", headers=headers)
    closed_once(site)


@rule(CALL, "MUST", "When the client has left in the middle of the response.")
@pytest.mark.parametrize("leave", ["reset", "close"])
def test_closed_when_the_client_leaves(site: Site, leave: str) -> None:
    with site.connect() as connection:
        site.request(connection, "/endless")
        assert connection.head().code == 200
        assert connection.piece() == b"x" * 65536
        if leave == "reset":
            connection.reset()
    closed_once(site)


@rule(CALL, "MUST", "When the client has left while the application was called.")
def test_closed_when_the_client_left_during_the_call(site: Site) -> None:
    gate = site.gate()
    with site.connect() as connection:
        site.request(connection, "/waits", headers=[gate.header])
        site.events("waits")
        connection.reset()
    gate.open()
    closed_once(site)


@mistake("A request that waits in the queue is run though its client has left.")
def test_a_client_that_leaves_the_queue(bare: Site) -> None:
    if bare.mode == "loop":
        not_applicable("there is no queue")
    gate = bare.gate()
    busy = [bare.connect() for _ in range(3)]
    for connection in busy:
        bare.request(connection, "/waits", headers=[gate.header])
    bare.events("waits", 3)
    # The server reads both requests before it sees that one client leaves: first come, first served.
    with bare.connect() as leaver, bare.connect() as witness:
        bare.request(leaver, "/tells")
        leaver.reset()
        bare.request(witness, "/log")
        for _ in busy:
            gate.open()
        for connection in busy:
            assert connection.response().body == b"waited"
            connection.socket.close()
        assert witness.response().body == b"logged"
    bare.get("/hello")
    assert "called" not in bare.events("closed", 3)


@rule("Error Handling", "SHOULD", "An error in `close()` is logged; the response is whole.")
def test_an_error_in_close(site: Site) -> None:
    response = site.get("/closing_badly")
    assert response.coded == b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    log = site.log(r"the application failed in close\(\)")
    assert f"LookupError: in close of {site.key}\n" in log
    closed_once(site)


@rule(
    "Optional Platform-Specific File Handling",
    "MUST",
    "The wrapper's `close()` calls that of the file, once.",
)
@pytest.mark.parametrize("kind", ["file", "BytesIO"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files_are_closed(site: Site, kind: str, method: str) -> None:
    response = site.get(
        "/file_that_tells", method, headers=[("X-Path", __file__), ("X-Kind", kind)]
    )
    assert response.code == 200
    closed_once(site)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_files_without_python_are_closed(bare: Site, method: str) -> None:
    bare.get("/file_that_is_kept", method, headers=[("X-Path", __file__)])
    assert bare.get("/kept_file").body == b"True"


@pytest.mark.parametrize("status", ["204 No Content", "304 Not Modified"])
def test_files_are_closed_without_a_body(site: Site, status: str) -> None:
    site.get("/file_that_tells", headers=[("X-Path", __file__), ("X-Status", status)])
    closed_once(site)
