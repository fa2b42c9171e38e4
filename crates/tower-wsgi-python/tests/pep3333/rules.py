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
    "PATH_INFO": "The decoded path below that.",
    "QUERY_STRING": "What follows the `?`, as sent; empty where there is none.",
    "REQUEST_URI": "The target of the request, as sent.",
    "RAW_URI": "The same, by its other name.",
    "CONTENT_TYPE": "The field of that name, if it was sent.",
    "CONTENT_LENGTH": "The length of the body, however it was sent; absent where there is none.",
    "SERVER_NAME": "The address that the client connected to; on a Unix socket the host that it asked for.",
    "SERVER_PORT": "The port of that.",
    "SERVER_PROTOCOL": "`HTTP/1.1` or `HTTP/1.0`.",
    "SERVER_SOFTWARE": "`tower-wsgi/` and its version.",
    "REMOTE_ADDR": "The client's address; empty on a Unix socket.",
    "REMOTE_PORT": "The client's port; absent on a Unix socket.",
    "HTTP_...": "The fields of the request: joined where they were sent several times, without those "
    "that have a `_` in their name.",
    "wsgi.version": "`(1, 0)`.",
    "wsgi.url_scheme": "`http`, or `https` where the connection is encrypted; then there is `HTTPS`, too, and it is `on`.",
    "wsgi.input": "The body, which has arrived: a file of Python's own.",
    "wsgi.input_terminated": "`True`: the end of the body is the end of the file.",
    "wsgi.errors": "`sys.stderr`: where the server's own log goes.",
    "wsgi.multithread": "Whether there is more than one thread (`--thread-workers`).",
    "wsgi.multiprocess": "`True`, except with `--workers 0`.",
    "wsgi.run_once": "`False`.",
    "wsgi.file_wrapper": "For files: one on disk is sent without Python.",
    "pulsar.connection": "The addresses of the connection: `address`, `server_address`.",
    "pulsar.cfg": "The settings that hold, by name.",
}

RULES: list[Rule] = []
MISTAKES: list[tuple[str, str]] = []
LENIENT: list[tuple[str, str, str, str]] = []

# What is not kept to the letter, and the test that holds what is done instead.
ARGUED = [
    Argued(
        "environ Variables",
        "SHOULD",
        "With TLS, also the variables of Apache's mod_ssl.",
        "The server has no such variables; `HTTPS` is `on` where the connection is encrypted.",
        "test_environ::test_variables_are_documented",
    ),
    Argued(
        "environ Variables",
        "SHOULD",
        "As many other CGI variables as are applicable.",
        "`GATEWAY_INTERFACE` (RFC 3875 section 4.1.4) is left out, since no CGI is spoken; `PATH_TRANSLATED`, "
        "`REMOTE_HOST`, `REMOTE_IDENT`, `REMOTE_USER` and `AUTH_TYPE` would have no value, and PEP 3333 has such "
        "variables left out.",
        "test_environ::test_variables_are_documented",
    ),
    Argued(
        "The start_response() Callable",
        "MUST NOT",
        "The status and the header values have no control characters.",
        "A horizontal tab is let through: RFC 9110 section 5.5 and RFC 9112 section 4 allow it, and it cannot end a "
        "line.",
        "test_headers_out::test_a_tab",
    ),
    Argued(
        "The start_response() Callable",
        "MUST",
        "`type(response_headers) is list`.",
        "This binds applications. A subclass of `list` is one for every purpose of the server, and is taken, with "
        "`--strict`, too.",
        "test_start_response::test_a_subclass_of_list",
    ),
    Argued(
        "Buffering and Streaming",
        "MUST",
        "A block that is given to `write()` is transmitted while the application goes on.",
        "With `--thread-workers 0` there is one thread, the application's, until it returns: what it writes waits "
        "for that, 8 MiB at most. On a pool it is sent at once. What an application yields is sent at once in both.",
        "test_write::test_write_then_return",
    ),
    Argued(
        "Server Extension APIs",
        "MUST",
        "An extension that replaces some WSGI functionality is invoked using the portion of the API that it replaces.",
        "There is none: `pulsar.connection` and `pulsar.cfg` only tell what no variable tells.",
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
    """What servers in use are known to do wrong, and a test forbids."""

    def note(test: Test) -> Test:
        MISTAKES.append((text, _name(test)))
        return test

    return note


def lenient(what: str, usually: str, strictly: str) -> Callable[[Test], Test]:
    """What is not the letter of PEP 3333, and is refused with `--strict` only."""

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

        What [PEP 3333](https://peps.python.org/pep-3333/) asks of a server, and the tests that hold it. They are in
        `crates/tower-wsgi-python/tests/pep3333`, and talk to a real server over a socket: on a pool of threads
        (`--thread-workers 3`) and on the event loop (`--thread-workers 0`), each application that is valid also inside
        `wsgiref.validate.validator`.

        A test checks that this page is what the tests say. To write it anew, run `python -m pep3333.rules --write` in
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
                "| | not to the letter | why | test |",
                "|---|---|---|---|",
            ]
            yield from (
                f"| {rule.level} | {rule.text} | {rule.why} | `{rule.test}` |" for rule in argued
            )
    yield from textwrap.dedent("""
        ## What is accepted as gunicorn accepts it

        An application that ran on gunicorn, or on pulsar, runs here: what is not the letter of PEP 3333, and is safe, is
        accepted. With `--strict` it is refused, as Rust's `WsgiService` always does it. A line break, a NUL or another
        control character in a status or a header field is refused in both.

        | what the application does | usually | with `--strict` | test |
        |---|---|---|---|""").splitlines()
    yield from (
        f"| {what} | {usually} | {strictly} | `{test}` |"
        for what, usually, strictly, test in _sorted(LENIENT)
    )
    yield from ["", "## The variables", "", "| variable | value |", "|---|---|"]
    yield from (f"| `{name}` | {value} |" for name, value in VARIABLES.items())
    yield from textwrap.dedent("""
        ## Mistakes that servers make

        Each was found in a server in use, and has a test here.

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
