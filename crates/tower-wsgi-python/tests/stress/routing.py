"""What a router costs beyond Werkzeug's match of the path, beside Flask's routing.

`python -m stress.routing`, in the directory `tests`, measures both in one run and prints a table. A
row is the best of several rounds, in time of the processor, so that other programs on the machine
count for little.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from flask import Flask
from werkzeug.routing import Map, Rule

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Callable

SECTIONS = 20
ROUNDS, REQUESTS = 30, 1000


class Row(NamedTuple):
    """A way to find the handler of a request, and its time in microseconds."""

    name: str
    time: float
    beyond: float
    """Above the match by itself."""


def measure(rounds: int = ROUNDS, requests: int = REQUESTS) -> list[Row]:
    """Call each way with the same requests."""
    paths = [path for number in range(SECTIONS) for path in _paths(number)]
    environs = [wsgi.test_wsgi_environ(path) for path in paths]
    environs = [environs[number % len(environs)] for number in range(requests)]
    ways = _ways()
    best = dict.fromkeys(ways, float("inf"))
    # In turns, so that a slow moment of the machine does not fall on one of them only.
    for _ in range(rounds):
        for name, call in ways.items():
            copies = [dict(environ) for environ in environs]
            start = time.thread_time()
            for environ in copies:
                call(environ)
            best[name] = min(best[name], (time.thread_time() - start) / requests * 1e6)
    match = best["Werkzeug: match"]
    return [Row(name, taken, taken - match) for name, taken in best.items()]


def _ways() -> dict[str, Callable[[dict[str, Any]], object]]:
    router, flask, rules = wsgi.Router("/"), Flask("routing"), []
    for rule in (rule for number in range(SECTIONS) for rule in _rules(number)):
        router.add_child(wsgi.Router(rule, get=_handle))
        flask.add_url_rule(rule, rule, _view)
        rules.append(Rule(rule, endpoint=rule, methods=["GET"]))
    urls = Map(rules)
    adapter = urls.bind("localhost")
    chain = wsgi.WsgiHandler([router])

    def match(environ: dict[str, Any]) -> object:
        return adapter.match(environ["PATH_INFO"], environ["REQUEST_METHOD"])

    def bind(environ: dict[str, Any]) -> object:
        return urls.bind_to_environ(environ).match()

    def context(environ: dict[str, Any]) -> object:
        with flask.request_context(environ) as context:
            return context.request.url_rule

    return {
        "Werkzeug: match": match,
        "Werkzeug: bind_to_environ, match": bind,
        "wsgi.Router: match, request, handler": router,
        "Flask: request_context": context,
        "WsgiHandler([wsgi.Router]): the whole call": lambda environ: chain(
            environ, _start_response
        ),
        "Flask: the whole call": lambda environ: flask(environ, _start_response),
    }


def _rules(number: int) -> list[str]:
    return [
        f"/s{number}/",
        f"/s{number}/<int:id>",
        f"/s{number}/<int:id>/edit",
        f"/s{number}/<name>/<path:rest>",
    ]


def _paths(number: int) -> list[str]:
    return [f"/s{number}/", f"/s{number}/17", f"/s{number}/17/edit", f"/s{number}/a/b/c"]


RESPONSE = wsgi.WsgiResponse(200, "x")


def _handle(request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
    _ = request.urlargs
    return RESPONSE


def _view(**urlargs: object) -> str:
    return "x"


def _start_response(status: str, headers: list[tuple[str, str]], exc_info: object = None) -> None:
    pass


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = [f"{'':44}{'µs':>8}{'beyond the match':>18}"]
    lines += [f"{row.name:44}{row.time:8.1f}{row.beyond:18.1f}" for row in rows]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.stdout.write(table(measure()) + "\n")
