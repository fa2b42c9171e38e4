"""The table: which rule is held by which test. `python -m pep3333.rules` in `tests` prints it."""

from __future__ import annotations

import importlib
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Row = TypeVar("Row", bound=tuple[str, ...])
    Test = TypeVar("Test", bound=Callable[..., None])

DOCUMENT = Path(__file__).parents[4] / "docs" / "pep3333.md"

# The sections that have rules for servers, in their order.
SECTIONS = [
    "Specification Details",
    "environ Variables",
    "Input and Error Streams",
    "The start_response() Callable",
    "Handling the Content-Length Header",
    "Buffering and Streaming",
    "The write() Callable",
    "Unicode Issues",
    "Error Handling",
    "HTTP 1.1 Expect/Continue",
    "Other HTTP Features",
    "Thread Support",
    "Server Extension APIs",
    "Application Configuration",
    "URL Reconstruction",
    "Optional Platform-Specific File Handling",
]

TESTS = [
    "test_call",
    "test_environ",
    "test_headers_in",
    "test_input",
    "test_start_response",
    "test_headers_out",
    "test_restart",
    "test_length",
    "test_streaming",
    "test_write",
    "test_errors",
    "test_close",
    "test_http",
    "test_file_wrapper",
    "test_options",
]


class Rule(NamedTuple):
    section: str
    level: str
    text: str
    test: str


class Argued(NamedTuple):
    section: str
    level: str
    text: str
    why: str
    test: str


# What `environ` has: a test checks that there is nothing else.
VARIABLES = {
    "REQUEST_METHOD": "The method.",
    "SCRIPT_NAME": "Where the application is mounted (`--script-name`); empty by default.",
    "PATH_INFO": "The decoded path below `SCRIPT_NAME`.",
    "QUERY_STRING": "The part of the target after the `?`, as sent; empty if there is none.",
    "REQUEST_URI": "The target of the request, as sent.",
    "RAW_URI": "The same as `REQUEST_URI`.",
    "CONTENT_TYPE": "The field of that name, if it was sent.",
    "CONTENT_LENGTH": "The length of the body, also of a chunked one; absent without a body.",
    "SERVER_NAME": "The address that the client connected to; on a Unix socket, the host of the request.",
    "SERVER_PORT": "The port of `SERVER_NAME`.",
    "SERVER_PROTOCOL": "`HTTP/1.1` or `HTTP/1.0`.",
    "SERVER_SOFTWARE": "`tower-wsgi/` and its version.",
    "REMOTE_ADDR": "The client's address, as a trusted proxy says it; empty on a Unix socket without one.",
    "REMOTE_PORT": "The client's port; absent on a Unix socket.",
    "HTTP_...": "The header fields of the request: joined if a field was sent several times, without fields "
    "with a `_` in their name.",
    "wsgi.version": "`(1, 0)`.",
    "wsgi.url_scheme": "`http`, or `https` if the client uses it; then `HTTPS` is `on`.",
    "wsgi.input": "The whole body: a file object of Python.",
    "wsgi.input_terminated": "`True`: the end of the body is the end of the file.",
    "wsgi.errors": "`sys.stderr`, which writes to the server's log.",
    "wsgi.multithread": "Whether there is more than one thread (`--thread-workers`, `--websocket-threads`).",
    "wsgi.multiprocess": "`True`, except with `--workers 0`.",
    "wsgi.run_once": "`False`.",
    "wsgi.file_wrapper": "For files; a file on disk is sent without calling Python.",
    "pulsar.connection": "The addresses of the connection: `address`, `server_address`.",
    "pulsar.cfg": "The resolved settings, by name.",
}

RULES: list[Rule] = []
MISTAKES: list[tuple[str, str]] = []
LENIENT: list[tuple[str, str, str, str]] = []

# The deviations from PEP 3333, and the test of each.
ARGUED = [
    Argued(
        "environ Variables",
        "SHOULD",
        "With TLS, also the variables of Apache's mod_ssl.",
        "The server has no such variables; `HTTPS` is `on` if the connection is encrypted.",
        "test_environ::test_variables_are_documented",
    ),
    Argued(
        "environ Variables",
        "SHOULD",
        "As many other CGI variables as are applicable.",
        "`GATEWAY_INTERFACE` (RFC 3875 section 4.1.4) is left out, since the server does not speak CGI; `PATH_TRANSLATED`, "
        "`REMOTE_HOST`, `REMOTE_IDENT`, `REMOTE_USER` and `AUTH_TYPE` would have no value, and PEP 3333 has such "
        "variables left out.",
        "test_environ::test_variables_are_documented",
    ),
    Argued(
        "The start_response() Callable",
        "MUST NOT",
        "The status and the header values have no control characters.",
        "A horizontal tab is accepted: RFC 9110 section 5.5 and RFC 9112 section 4 allow it, and it cannot end a "
        "line.",
        "test_headers_out::test_a_tab",
    ),
    Argued(
        "The start_response() Callable",
        "MUST",
        "`type(response_headers) is list`.",
        "This is a rule for applications. A subclass of `list` serves every purpose of the server, and is accepted, also "
        "with `--strict`.",
        "test_start_response::test_a_subclass_of_list",
    ),
    Argued(
        "Buffering and Streaming",
        "MUST",
        "A block that is given to `write()` is transmitted while the application continues.",
        "With `--thread-workers 0` there is one thread, the application's, until it returns: what it writes is "
        "buffered until then, 8 MiB at most. On a pool it is sent at once. What an application yields is sent at once in both.",
        "test_write::test_write_then_return",
    ),
    Argued(
        "Server Extension APIs",
        "MUST",
        "An extension that replaces some WSGI functionality is invoked using the portion of the API that it replaces.",
        "There is none: `pulsar.connection` and `pulsar.cfg` only add information.",
        "test_environ::test_names_of_extensions",
    ),
]


def rule(section: str, level: str, text: str) -> Callable[[Test], Test]:
    """A rule of PEP 3333 that a test holds."""
    assert section in SECTIONS, section

    def note(test: Test) -> Test:
        RULES.append(Rule(section, level, text, _name(test)))
        return test

    return note


def mistake(text: str) -> Callable[[Test], Test]:
    """A mistake of servers in use that a test rules out."""

    def note(test: Test) -> Test:
        MISTAKES.append((text, _name(test)))
        return test

    return note


def lenient(what: str, usually: str, strictly: str) -> Callable[[Test], Test]:
    """A deviation of applications from PEP 3333 that is an error with `--strict` only."""

    def note(test: Test) -> Test:
        LENIENT.append((what, usually, strictly, _name(test)))
        return test

    return note


def _name(test: Callable[..., None]) -> str:
    return f"{test.__module__.rpartition('.')[2]}::{test.__name__}"


def table() -> str:
    """The document."""
    for name in TESTS:
        importlib.import_module(f"pep3333.{name}")
    for argued in ARGUED:
        module, _, test = argued.test.partition("::")
        assert hasattr(importlib.import_module(f"pep3333.{module}"), test), argued.test
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield from textwrap.dedent("""\
        # PEP 3333, rule by rule

        The requirements of [PEP 3333](https://peps.python.org/pep-3333/) for servers, and the test of each. The tests are in
        `crates/tower-wsgi-python/tests/pep3333`. They send requests to a real server, on a pool of threads
        (`--thread-workers 3`) and on the event loop (`--thread-workers 0`); each valid application is also tested inside
        `wsgiref.validate.validator`.

        This page is generated from the tests, and a test checks it. To write it, run `python -m pep3333.rules --write` in
        `crates/tower-wsgi-python/tests`.
        """).splitlines()
    for section in SECTIONS:
        rules = _sorted(rule for rule in RULES if rule.section == section)
        argued = [rule for rule in ARGUED if rule.section == section]
        if not rules and not argued:
            continue
        yield from ["", f"## {section}", ""]
        if rules:
            yield from ["| | rule | test |", "|---|---|---|"]
            yield from (f"| {rule.level} | {rule.text} | `{rule.test}` |" for rule in rules)
        if argued:
            if rules:
                yield ""
            yield from [
                "| | deviation | why | test |",
                "|---|---|---|---|",
            ]
            yield from (
                f"| {rule.level} | {rule.text} | {rule.why} | `{rule.test}` |" for rule in argued
            )
    yield from textwrap.dedent("""
        ## Leniency

        An application that runs on gunicorn or pulsar runs here: deviations from PEP 3333 that are safe are accepted. With
        `--strict` they are errors, as always with Rust's `WsgiService`. A line break, a NUL or another
        control character in a status or a header field is an error in both.

        | the application | by default | with `--strict` | test |
        |---|---|---|---|""").splitlines()
    yield from (
        f"| {what} | {usually} | {strictly} | `{test}` |"
        for what, usually, strictly, test in _sorted(LENIENT)
    )
    yield from ["", "## The variables", "", "| variable | value |", "|---|---|"]
    yield from (f"| `{name}` | {value} |" for name, value in VARIABLES.items())
    yield from textwrap.dedent("""
        ## Mistakes that servers make

        Each was found in a server in use, and has a test.

        | mistake | test |
        |---|---|""").splitlines()
    yield from (f"| {text} | `{test}` |" for text, test in _sorted(MISTAKES))


def _sorted(rows: Iterable[Row]) -> list[Row]:
    """In the order of the tests, whichever were imported first."""
    return sorted(rows, key=lambda row: TESTS.index(row[-1].partition("::")[0]))


def main(arguments: list[str]) -> None:
    """Print the document, or write it."""
    if arguments == ["--write"]:
        DOCUMENT.write_text(table())
    else:
        print(table(), end="")


if __name__ == "__main__":
    import sys

    from pep3333 import rules

    # This module, run as a program, is another one than the one that the tests import.
    rules.main(sys.argv[1:])
