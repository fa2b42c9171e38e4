"""start_response: what it takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
from processes import wait_until

from pep3333.client import Broken
from pep3333.rules import lenient, mistake, rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

START = "The start_response() Callable"
GOOD_STATUSES = {
    "200 OK": b"200 OK",
    "404 Not Found": b"404 Not Found",
    "200 Fine": b"200 Fine",
    "299 My Reason": b"299 My Reason",
    "799 Way out": b"799 Way out",
    "200 gr\xfc\xdfe": b"200 gr\xfc\xdfe",
}
BAD_STATUSES = [
    "",
    "OK",
    "20 OK",
    "2000 OK",
    "200OK",
    "2x0 OK",
    " 200 OK",
    "000 Nothing",
    "099 Little",
    "100 Continue",
    "101 Switching Protocols",
    "200 OK\r\n",
    "200 OK\n",
    "200 O\rK",
    "200 OK\r\nX-Injected: 1",
    "200 O\0K",
    "200 O\x7fK",
    "200 O\x1fK",
    "+20 OK",
    "200\tOK",
    "\u0662\u0660\u0660 OK",
    "200 \u2603",
]


def refused(site: Site, **headers: Any) -> str:
    """What start_response raises, as the application tells it."""
    named = [(f"X-{name.title()}", ascii(value)) for name, value in headers.items()]
    response = site.get("/refused", headers=named)
    assert response.code == 200
    assert response.get(b"x-injected") is None
    return response.text


@rule(START, "MUST", "The status is a code and a reason, and both are sent as they are.")
@mistake("The reason phrase is dropped.")
@pytest.mark.parametrize("status", GOOD_STATUSES)
def test_statuses(site: Site, status: str) -> None:
    response = site.get("/status", headers=[("X-Status", ascii(status))])
    assert response.status_line == b"HTTP/1.1 " + GOOD_STATUSES[status]
    assert response.body == b"body"


def test_an_empty_reason(bare: Site) -> None:
    # RFC 9112 section 4 allows it.
    response = bare.get("/status", headers=[("X-Status", "'200 '")])
    assert response.status_line.rstrip() == b"HTTP/1.1 200"


@rule(
    START,
    "MUST NOT",
    "A status with a control character, or of another form, is refused when it is given.",
)
@pytest.mark.parametrize("status", BAD_STATUSES, ids=ascii)
def test_bad_statuses(bare: Site, status: str) -> None:
    text = refused(bare, status=status)
    assert text.startswith("ValueError: the status "), text
    if status.isascii():
        assert "three digits from 200 to 999, a space and a reason" in text
    else:
        assert "Latin-1" in text


@lenient("A status without a reason: `200`", "the usual reason is sent", "a `ValueError`")
@pytest.mark.parametrize(
    ("code", "line"), [("200", b"200 OK"), ("404", b"404 Not Found"), ("299", b"299 ")]
)
def test_a_status_without_a_reason(bare: Site, code: str, line: bytes) -> None:
    response = bare.get("/given", headers=[("X-Status", ascii(code))])
    assert response.status_line == b"HTTP/1.1 " + line
    assert response.body == b"given"


@pytest.mark.parametrize("code", ["100", "000", "20", "2000", "2x0"])
def test_no_status_without_a_reason(bare: Site, code: str) -> None:
    assert refused(bare, status=code).startswith("ValueError: the status ")


def test_a_status_without_a_reason_strictly(strict: Site) -> None:
    text = refused(strict, status="200")
    assert text.startswith('ValueError: the status "200" is not three digits'), text


@rule("Unicode Issues", "MUST", "The status and the headers are `str`.")
@pytest.mark.parametrize(
    ("status", "kind"), [(200, "int"), (b"200 OK", "bytes"), (None, "NoneType")]
)
def test_statuses_of_other_types(bare: Site, status: Any, kind: str) -> None:
    assert refused(bare, status=status) == f"TypeError: the status must be a str, not {kind}"


ONE_PAIR = "each response header must be a pair of a name and a value, not"


@rule(START, "MUST", "The response headers are pairs of `str`.")
@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ({"A": "b"}, "the response headers must be a list of pairs, not dict; pass its items()"),
        ("A: b", "the response headers must be a list of pairs, not str"),
        (b"A: b", "the response headers must be a list of pairs, not bytes"),
        (None, "the response headers must be a list of pairs, not NoneType"),
        (7, "the response headers must be a list of pairs, not int"),
        ([("A",)], f"{ONE_PAIR} ('A',)"),
        ([["A", "b", "c"]], f"{ONE_PAIR} ['A', 'b', 'c']"),
        (["Ab"], f"{ONE_PAIR} 'Ab'"),
        ([None], f"{ONE_PAIR} None"),
        ([(b"A", "b")], "the header name must be a str, not bytes"),
        ([("A", b"b")], "the header value must be a str, not bytes"),
        ([("A", 1)], "the header value must be a str, not int"),
        ([["A", None]], "the header value must be a str, not NoneType"),
    ],
)
def test_headers_of_other_types(bare: Site, headers: Any, message: str) -> None:
    assert refused(bare, headers=headers) == f"TypeError: {message}"


@rule(START, "MUST", "With `--strict` they are a list of tuples.")
@pytest.mark.parametrize(
    ("headers", "message"),
    [
        ((("A", "b"),), "the response headers must be a list, not tuple"),
        ({"A": "b"}, "the response headers must be a list, not dict"),
        (
            [["A", "b"]],
            "each response header must be a tuple of a name and a value, not ['A', 'b']",
        ),
        ([("A",)], "each response header must be a tuple of a name and a value, not ('A',)"),
    ],
)
def test_headers_of_other_types_strictly(strict: Site, headers: Any, message: str) -> None:
    assert refused(strict, headers=headers) == f"TypeError: {message}"


@lenient(
    "Headers as a tuple, `dict.items()` or another iterable, and pairs that are lists",
    "they are taken",
    "a `TypeError`",
)
@pytest.mark.parametrize(
    ("headers", "shape"),
    [
        ((("X-A", "1"), ("X-B", "2")), "as it is"),
        ([["X-A", "1"], ["X-B", "2"]], "as it is"),
        ([("X-A", "1"), ("X-B", "2")], "items"),
        ([("X-A", "1"), ("X-B", "2")], "generator"),
        ([("X-A", "1"), ("X-B", "2")], "keywords"),
    ],
)
def test_headers_in_other_shapes(bare: Site, headers: Any, shape: str) -> None:
    response = bare.get("/given", headers=[("X-Headers", ascii(headers)), ("X-Shape", shape)])
    assert (response.get(b"x-a"), response.get(b"x-b"), response.body) == (b"1", b"2", b"given")


@lenient(
    "Spaces and tabs around a value",
    "they are left out",
    "they are sent; a `Content-Length` has none",
)
def test_spaces_around_a_value(bare: Site) -> None:
    headers = [("X-A", " \tb c\t "), ("Content-Length", " 5 ")]
    response = bare.get("/given", headers=[("X-Headers", ascii(headers))])
    assert (response.get(b"x-a"), response.get(b"content-length")) == (b"b c", b"5")


@lenient("The same `Content-Length` twice", "it is sent once", "a `ValueError`")
def test_the_same_content_length_twice(bare: Site) -> None:
    headers = [("Content-Length", "5"), ("content-length", "5")]
    response = bare.get("/given", headers=[("X-Headers", ascii(headers))])
    assert (response.get(b"content-length"), response.body) == (b"5", b"given")


def test_the_same_content_length_twice_strictly(strict: Site) -> None:
    text = refused(strict, headers=[("Content-Length", "5"), ("content-length", "5")])
    assert text == 'ValueError: the header "content-length" is given twice'


@lenient(
    "`exc_info` is `(None, None, None)`, what `sys.exc_info()` gives where nothing was raised",
    "status and headers are replaced, as long as nothing was sent",
    "a `TypeError`",
)
def test_an_empty_exc_info(bare: Site) -> None:
    response = bare.get("/replaced")
    assert (response.code, response.body) == (503, b"replaced")


def test_an_empty_exc_info_strictly(strict: Site) -> None:
    assert strict.get("/replaced").code == 500
    strict.log("TypeError: exc_info must be the tuple that sys.exc_info")


def test_a_subclass_of_list(bare: Site) -> None:
    assert bare.get("/list_subclass").raw == (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 4\r\ndate: DATE\r\n\r\nbody"
    )


@rule(
    START,
    "MUST",
    "A header name is a field name: no colon, no other punctuation, no control character.",
)
@pytest.mark.parametrize(
    "name",
    [
        "",
        "A:",
        "A B",
        " A",
        "A ",
        "A\r\n",
        "A\r\nX-Injected: 1\r\nB",
        "A\0",
        "A\t",
        "(A)",
        "A/B",
        "A@B",
        "\xfc",
    ],
    ids=ascii,
)
def test_bad_header_names(bare: Site, name: str) -> None:
    text = refused(bare, headers=[("Content-Type", "text/plain"), (name, "value")])
    assert text.startswith("ValueError: the header "), text
    assert "is no valid name for a header field" in text


@rule(
    START,
    "MUST NOT",
    "A header value has no control character: no CR or LF, embedded or at the end.",
)
@mistake("A header with a line break is sent (and is two), or is left out without a word.")
@pytest.mark.parametrize(
    "value",
    [
        "a\r\nX-Injected: 1",
        "a\nX-Injected: 1",
        "a\rb",
        "a\n",
        "a\r\n",
        "\na",
        "a\r\n b",
        "a\0b",
        "\x1f",
        "\x7f",
        "\x08",
    ],
    ids=ascii,
)
def test_bad_header_values(bare: Site, value: str) -> None:
    text = refused(bare, headers=[("X-Name", value)])
    assert (
        text
        == 'ValueError: the header "X-Name" has a line break or another control character in its value'
    )


@rule("Unicode Issues", "MUST", "A string with a character beyond U+00FF is an error.")
@pytest.mark.parametrize("value", ["\u2603", "a\u0100", "\U0001f40d", "\ud800"], ids=ascii)
def test_characters_beyond_latin_1(bare: Site, value: str) -> None:
    for headers in ([("X-Name", value)], [(value, "x")]):
        text = refused(bare, headers=headers)
        assert text.startswith(("ValueError: the header ", "UnicodeEncodeError: ")), text


HOP_BY_HOP = [
    "Connection",
    "Keep-Alive",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "Trailers",
    "Transfer-Encoding",
    "Upgrade",
    "transfer-encoding",
    "CONNECTION",
]


@rule(
    START,
    "SHOULD",
    "Hop-by-hop headers of the application are an error, in any spelling, with `--strict`.",
)
@rule(
    "Handling the Content-Length Header", "MUST NOT", "The application sets no `Transfer-Encoding`."
)
@pytest.mark.parametrize("name", HOP_BY_HOP)
def test_hop_by_hop_headers_strictly(strict: Site, name: str) -> None:
    text = refused(strict, headers=[(name, "chunked")])
    assert text == (
        f'ValueError: the header "{name}" is for the server alone to set: it is about this connection, '
        "not the response"
    )


@lenient(
    "`Connection`, `Keep-Alive`, `Trailer`, `Trailers`, `TE`, `Proxy-Authenticate`, "
    "`Proxy-Authorization`, `Proxy-Connection`, `Transfer-Encoding`, `Upgrade`",
    "they are dropped, with one warning for each name and process",
    "a `ValueError`",
)
@mistake("Hop-by-hop headers of the application are sent.")
def test_hop_by_hop_headers(bare: Site) -> None:
    headers = [(name, "x") for name in HOP_BY_HOP]
    for _ in range(2):
        with bare.connect() as connection:
            bare.request(connection, "/given", headers=[("X-Headers", ascii(headers))])
            assert connection.response().raw == (
                b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\ndate: DATE\r\n\r\ngiven"
            )
    for name in {name.lower() for name in HOP_BY_HOP}:
        warning = re.compile(f'dropping a header field.* header="{name}"')
        wait_until(lambda warning=warning: warning.search(bare.served.log) is not None)
        assert len(warning.findall(bare.served.log)) == 1, name


@pytest.mark.parametrize("value", ["a\r\nX-Injected: 1", "a\n", "\0"], ids=ascii)
def test_hop_by_hop_headers_with_a_line_break(bare: Site, value: str) -> None:
    text = refused(bare, headers=[("Connection", value)])
    assert "has a line break or another control character in its value" in text


@rule("Handling the Content-Length Header", "SHOULD", "A `Content-Length` is one number.")
@pytest.mark.parametrize(
    "value",
    ["", " ", "abc", "-1", "+1", "1.0", "0x10", "1_000", "5 5", "18446744073709551616", "\xb2"],
)
def test_bad_content_lengths(bare: Site, value: str) -> None:
    text = refused(bare, headers=[("Content-Length", value)])
    assert text == 'ValueError: the header "Content-Length" is no number'


def test_two_content_lengths(bare: Site) -> None:
    text = refused(bare, headers=[("Content-Length", "5"), ("content-length", "6")])
    assert text == 'ValueError: the header "content-length" is given twice'


@rule(
    START,
    "SHOULD",
    "Errors are checked while the application runs, and end in a 500 where it does not trap them.",
)
@mistake("A status that is none ends the worker.")
def test_an_untrapped_error(bare: Site) -> None:
    response = bare.get("/status", headers=[("X-Status", "'20 OK'")])
    assert (response.code, response.body) == (
        500,
        b"500 Internal Server Error\nThe server failed to handle the request.\n",
    )
    log = bare.log("the application failed")
    assert "Traceback (most recent call last):" in log
    assert 'ValueError: the status "20 OK" is not three digits' in log


@rule(START, "MUST", "A second call without `exc_info` is a fatal error.")
@mistake("A second call of `start_response` is taken.")
def test_twice(bare: Site) -> None:
    response = bare.get("/twice")
    assert response.text == (
        "RuntimeError: start_response was called before; only an error may replace the status and headers"
    )
    assert (response.code, response.get(b"x-second")) == (200, None)


@rule(START, "MUST", "That includes the case that the first call raised an error.")
def test_twice_after_a_failure(bare: Site) -> None:
    response = bare.get("/twice_after_failure")
    assert response.text.startswith("RuntimeError: start_response was called before"), response.text
    # Only the first was a first call; the others were a second and a third.
    assert bare.events("refused")[:1] == ["refused"]


@rule(
    "Error Handling",
    "SHOULD",
    "An application that never calls `start_response` gets an error that says so.",
)
@mistake("A response that was never started is a 200.")
@pytest.mark.parametrize("name", ["never_started", "closing_unstarted", "file_unstarted"])
def test_never_started(bare: Site, name: str) -> None:
    response = bare.get(f"/{name}", headers=[("X-Path", __file__)])
    assert response.code == 500
    bare.log("without a successful call of start_response")


@rule(START, "MUST", "It is called before the first bytestring; later is too late.")
def test_started_too_late(bare: Site) -> None:
    assert bare.get("/started_too_late").code == 500
    bare.log("without a successful call of start_response")


def broken(site: Site, target: str, **more: Any) -> Broken:
    """A response that breaks off, and says so by the way it ends."""
    with site.connect() as connection:
        site.request(connection, target, **more)
        with pytest.raises(Broken) as caught:
            connection.response()
    return caught.value
