"""The streams of a request."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import pytest
from notes import not_applicable

from pep3333.applications.input_stream import results
from pep3333.rules import mistake, rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

STREAMS = "Input and Error Streams"
EXPECT = "HTTP 1.1 Expect/Continue"

# What the validator lets an application call; the others do without it.
VALID_CALLS: list[list[list[Any]]] = [
    [["read", 5], ["read", 4], ["read", 1000], ["read", 10], ["read", 0]],
    [
        ["readline"],
        ["readline"],
        ["readline", 3],
        ["readline", 300],
        ["readline"],
        ["readline"],
        ["readline"],
    ],
    [["readlines"], ["readlines"]],
    [["readlines", 6], ["readlines", 1], ["readlines", 0], ["readlines"]],
    [["list"], ["list"]],
    [["next"], ["read", 3], ["readline"], ["readlines"], ["read", 1]],
    [["read", 1], ["readline"], ["list"], ["read", 10]],
]
CALLS: list[list[list[Any]]] = [
    [["read"], ["read"], ["read", 1]],
    [["read", -1], ["read", -1]],
    [["read", None], ["read", None]],
    [["read", 1], ["read"], ["readline"], ["readlines"], ["list"]],
    [["readline", -1], ["readline", 0], ["readline", None], ["read"]],
    [["readlines", None], ["readlines", -1]],
]
BODIES = {
    "lines": b"first line\nsecond\r\n\nfourth, and the last, without an end",
    "ends with a line": b"a\nb\n",
    "one byte": b"x",
    "empty": b"",
    "large": b"".join(b"%d: %s\n" % (number, b"x" * (number % 300)) for number in range(20_000)),
}


def send(site: Site, calls: list[list[Any]], body: bytes | None, *, coded: bool) -> dict[str, Any]:
    """Send a body by its length or in chunks."""
    with site.connect() as connection:
        headers = [("X-Calls", json.dumps(calls))]
        if not coded:
            site.request(connection, "/read", "POST", headers=headers, body=body)
        else:
            site.request(
                connection, "/read", "POST", headers=[*headers, ("Transfer-Encoding", "chunked")]
            )
            for start in range(0, len(body or b""), 100_003):
                piece = (body or b"")[start : start + 100_003]
                connection.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            connection.send(b"0\r\n\r\n")
        response = connection.response()
        assert response.code == 200, response.raw
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"
        response: dict[str, Any] = json.loads(response.text)
        return response


def expected(calls: list[list[Any]], body: bytes) -> list[Any]:
    try:
        return results(io.BytesIO(body), calls)
    except StopIteration:
        not_applicable("there is no line")


@rule(
    STREAMS,
    "MUST",
    "`read(size)`, `readline()`, `readlines(hint)`, `__iter__()`, as files have them.",
)
@rule(STREAMS, "SHOULD", "The size argument of `readline()` is supported.")
@rule(STREAMS, "SHOULD", "Reads of an exhausted or empty stream give empty bytestrings.")
@rule("Unicode Issues", "MUST", "What is read is `bytes`.")
@mistake(
    "`readline()` loses the line end, a line, its size; `readlines()` too; iteration stops after one line."
)
@pytest.mark.parametrize("coded", [False, True], ids=["length", "chunked"])
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "calls", VALID_CALLS, ids=lambda calls: " ".join(str(call) for call in calls)[:40]
)
def test_input_is_a_file(site: Site, calls: list[list[Any]], body: str, coded: bool) -> None:
    data = BODIES[body]
    wanted = expected(calls, data)
    response = send(site, calls, data, coded=coded)
    assert response == {"results": wanted, "length": str(len(data)), "coding": None}


@rule(STREAMS, "SHOULD", "`read()` without an argument gives the rest of the body.")
@mistake("`read(1)`, then `read()` loses what was buffered; `read(-1)` is an error.")
@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize(
    "calls", CALLS, ids=lambda calls: " ".join(str(call) for call in calls)[:40]
)
def test_arguments_of_files(bare: Site, calls: list[list[Any]], body: str) -> None:
    data = BODIES[body]
    assert send(bare, calls, data, coded=False)["results"] == expected(calls, data)


@rule(STREAMS, "SHOULD", "A request without a body has an empty stream.")
def test_no_body(site: Site) -> None:
    response = send(site, [["read", 10], ["readline"], ["readlines"], ["list"]], None, coded=False)
    assert response == {"results": ["", "", [], []], "length": None, "coding": None}


@rule(
    STREAMS,
    "SHOULD",
    "Past the `Content-Length` there is the end of the file, not the next request.",
)
def test_reads_stop_at_the_length(site: Site) -> None:
    headers = [("X-Calls", '[["read", 100000], ["read", 100000]]')]
    with site.connect() as connection:
        site.request(connection, "/read", "POST", headers=headers, body=b"12345")
        site.request(connection, "/read", "POST", headers=headers, body=b"67")
        for body in ("12345", "67"):
            assert json.loads(connection.response().text)["results"] == [body, ""]


@rule("Other HTTP Features", "MUST", "A body that is not read does not become the next request.")
@mistake("A body that the application did not read is taken for the next request.")
@pytest.mark.parametrize("size", [40, 3 << 20])
@pytest.mark.parametrize("expect", [False, True])
def test_unread_body(site: Site, size: int, expect: bool) -> None:
    body = b"GET /tells HTTP/1.1\r\nHost: test\r\nX-Key: %s\r\n\r\n" % site.key.encode()
    body = (body * (size // len(body) + 1))[: max(size, len(body))]
    with site.connect() as connection:
        if expect:
            site.request(
                connection,
                "/unread",
                "POST",
                headers=[("Expect", "100-continue"), ("Content-Length", str(len(body)))],
            )
            assert connection.response().status_line == b"HTTP/1.1 100 Continue"
            connection.send(body)
        else:
            site.request(connection, "/unread", "POST", body=body)
        assert connection.response().body == b"not read"
        site.request(connection, "/closing")
        assert connection.response().body == b"onetwo"
    assert "called" not in site.events("closed")


@mistake("A body that is cut off, or malformed, looks like a whole one.")
@pytest.mark.parametrize(
    ("head", "body"),
    [
        ("Content-Length: 10", b"12345"),
        ("Transfer-Encoding: chunked", b"5\r\n12345\r\n"),
        ("Transfer-Encoding: chunked", b"5\r\n123"),
        ("Transfer-Encoding: chunked", b"5\r\n12345\r\nzz\r\n"),
        ("Transfer-Encoding: chunked", b"5\r\n1234567\r\n0\r\n\r\n"),
        ("Transfer-Encoding: chunked", b"ffffffffffffffffff\r\n12345"),
    ],
)
def test_a_broken_body_reaches_no_application(bare: Site, head: str, body: bytes) -> None:
    with bare.connect() as connection:
        calls = json.dumps([["read"]])
        text = f"POST /read HTTP/1.1\r\nHost: test\r\nX-Key: {bare.key}\r\nX-Calls: {calls}\r\n{head}\r\n\r\n"
        connection.send(text.encode() + body)
        malformed = b"zz" in body or b"567" in body or b"ffff" in body
        if malformed:
            assert connection.response().code == 400
            assert connection.end() == b""
    bare.get("/closing")
    assert "called" not in bare.events("closed")


@rule(
    STREAMS,
    "MUST",
    "`write(str)`, `writelines(seq)` and `flush()` of the error stream reach the log.",
)
@rule("environ Variables", "SHOULD", "The error stream takes any character without an error.")
def test_error_stream(site: Site) -> None:
    assert site.get("/log").body == b"logged"
    log = site.log(rf"lone .* {site.key}$")
    for word in ("one", "two", "three", "snowman"):
        assert f"{word} " in log
    assert f"one {site.key}\ntwo {site.key}\nthree {site.key}\n" in log


@rule(EXPECT, "MUST", "`Expect: 100-continue` is handled, transparently for the application.")
@pytest.mark.parametrize("spelling", ["100-continue", "100-Continue"])
def test_expect_continue(site: Site, spelling: str) -> None:
    with site.connect() as connection:
        headers = [("X-Calls", '[["read", 100]]'), ("Expect", spelling), ("Content-Length", "5")]
        site.request(connection, "/read", "POST", headers=headers)
        assert connection.response().raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.send(b"12345")
        response = connection.response()
        assert (response.code, json.loads(response.text)["results"]) == (200, ["12345"])
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"


@rule(EXPECT, "MUST", "HTTP/1.0, and a request without a body, get no `100 Continue`.")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_no_continue(site: Site, version: str) -> None:
    body = b"12345" if version == "1.0" else None
    with site.connect() as connection:
        headers = [("X-Calls", '[["read", 100]]'), ("Expect", "100-continue")]
        site.request(connection, "/read", "POST", headers=headers, body=body, version=version)
        assert connection.response().code == 200


@rule(EXPECT, "MUST", "A client that does not wait for the `100 Continue` is served, too.")
def test_continue_is_not_waited_for(site: Site) -> None:
    with site.connect() as connection:
        headers = [("X-Calls", '[["read", 100]]'), ("Expect", "100-continue")]
        site.request(connection, "/read", "POST", headers=headers, body=b"12345")
        response = connection.response()
        if response.code == 100:
            response = connection.response()
        assert json.loads(response.text)["results"] == ["12345"]
        site.request(connection, "/hello")
        assert connection.response().body == b"hello"
