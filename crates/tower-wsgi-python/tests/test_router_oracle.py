"""2000 generated paths: `wsgi.Router` finds what `werkzeug.routing` finds in the same rules."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import pytest
from werkzeug.exceptions import MethodNotAllowed, NotFound
from werkzeug.routing import BuildError, Map, MapAdapter, RequestRedirect, Rule

from tower_wsgi import wsgi

if TYPE_CHECKING:
    from collections.abc import Iterator

TREES, PATHS = 50, 40
METHODS = ["get", "post", "put", "delete", "head", "options"]
WORDS = ["a", "b", "ab", "news", "x.html", "ä", "1", "2015", "1.5"]
# With segments that may fit.
VARIABLES = {
    "<{}>": ["a", "ä", "7"],
    "<int:{}>": ["7", "2015", "a"],
    "<int(min=5):{}>": ["7", "2"],
    "<float:{}>": ["1.5", "1"],
    "<path:{}>": ["a", "a/b", "a//b"],
    "<any(a, b, news):{}>": ["a", "news", "c"],
    "<string(length=2):{}>": ["ab", "abc"],
    "v<int:{}>": ["v7", "v", "w7"],
    "<int:{}>-<x{}>": ["1-a", "a-1"],
}


class Tree:
    """A random tree of routers, and its rules as they are meant."""

    def __init__(self, source: random.Random) -> None:
        self._random = source
        self._count = 0
        self._samples: dict[str, list[str]] = {}
        # The path, the methods, and the number of the router.
        self.rules: list[tuple[str, list[str], int]] = []
        self.router = self._grow("", 0)

    def _grow(self, above: str, depth: int) -> wsgi.Router:
        number = self._count
        self._count += 1
        rule = self._rule(depth)
        whole = f"{above.rstrip('/')}/{rule}"
        methods = self._random.sample(METHODS, self._random.randrange(3))
        if methods:
            self.rules.append((whole, methods, number))
        router = wsgi.Router(
            rule, number=number, **{method: lambda request: None for method in methods}
        )
        for _ in range(self._random.randrange(5 - depth) if depth < 3 else 0):
            before = len(self.rules), self._count
            child = self._grow(whole, depth + 1)
            try:
                router.add_child(child)
            except ValueError:
                # A sibling has this rule.
                self.rules = self.rules[: before[0]]
        return router

    def _rule(self, depth: int) -> str:
        if depth == 0 and self._random.random() < 0.7:
            return ""
        segments = [self._segment() for _ in range(self._random.randrange(1, 3))]
        return "/".join(segments) + self._random.choice(["", "", "/"])

    def _segment(self) -> str:
        if self._random.random() < 0.5:
            return self._random.choice(WORDS)
        self._count += 1
        name = f"n{self._count}"
        variable = self._random.choice(list(VARIABLES))
        segment = variable.format(name, name)
        self._samples[segment] = VARIABLES[variable]
        return segment

    def request(self) -> tuple[str, str]:
        """A path and a method that may fit one of the rules."""
        choice, chance = self._random.choice, self._random.random
        method = choice(METHODS)
        if self.rules and chance() < 0.85:
            rule, methods, _ = choice(self.rules)
            segments = [choice(self._samples.get(part, [part])) for part in rule.split("/")]
            if chance() < 0.7:
                method = choice(methods)
        else:
            segments = ["", *self._random.choices(WORDS, k=self._random.randrange(1, 4))]
        if chance() < 0.2:
            segments.insert(self._random.randrange(len(segments) + 1), choice(["", "a"]))
        if segments[-1] == "" and chance() < 0.3:
            segments.pop()
        return "/" + "/".join(segments).lstrip("/"), method.upper()


def expected(adapter: MapAdapter, path: str, method: str) -> tuple[Any, ...]:
    try:
        number, values = adapter.match(path, method)
    except NotFound:
        return ("nothing",)
    except MethodNotAllowed as error:
        return ("methods", sorted(error.valid_methods or ()))
    except RequestRedirect as error:
        return ("moved", error.new_url.removeprefix("http://localhost"))
    return ("found", number, values)


def actual(router: wsgi.Router, path: str, method: str) -> tuple[Any, ...]:
    try:
        found = router.resolve(path, method)
    except wsgi.MethodNotAllowed as error:
        ((_, allowed),) = error.headers
        return ("methods", allowed.split(", "))
    except wsgi.HttpRedirect as error:
        assert error.status == 308
        return ("moved", error.location)
    if found is None:
        return ("nothing",)
    return ("found", found.router.number, dict(found.urlargs))


def oracle(tree: Tree) -> MapAdapter:
    rules = []
    for path, methods, number in tree.rules:
        allowed = {*(method.upper() for method in methods), "OPTIONS"}
        rules.append(Rule(path, endpoint=number, methods=allowed))
    return Map(rules, redirect_defaults=False).bind("localhost")


def test_it_finds_what_werkzeug_finds() -> None:
    seen: Counter[str] = Counter()
    for seed in range(TREES):
        tree = Tree(random.Random(seed))
        adapter = oracle(tree)
        for _ in range(PATHS):
            path, method = tree.request()
            wanted = expected(adapter, path, method)
            assert actual(tree.router, path, method) == wanted, (seed, path, method, tree.rules)
            seen[wanted[0]] += 1
    assert seen.total() == 2000
    assert all(seen[outcome] >= 90 for outcome in ("found", "nothing", "methods", "moved")), seen


def test_paths_are_those_that_werkzeug_builds() -> None:
    values = [1, 7, 2015, 1.5, "a", "ab", "a b/ä?", "news", -3]
    built = refused = 0
    for seed in range(15):
        source = random.Random(seed)
        tree = Tree(source)
        adapter = oracle(tree)
        for router in _all(tree.router):
            if not any(number == router.number for _, _, number in tree.rules):
                continue
            for _ in range(5):
                chosen = {name: source.choice(values) for name in router.full_route.variables}
                wanted = _built(adapter, router, chosen)
                if wanted is None:
                    refused += 1
                    with pytest.raises(ValueError, match="does not fit"):
                        router.path(**chosen)
                    continue
                built += 1
                assert router.path(**chosen) == wanted
    assert built > 60
    assert refused > 20


def _built(adapter: MapAdapter, router: wsgi.Router, values: dict[str, Any]) -> str | None:
    """The path that Werkzeug builds, if it also matches the rule again."""
    alone = Map([Rule(f"/{router.rule}", endpoint="")]).bind("localhost")
    try:
        path = adapter.build(router.number, values, append_unknown=False)
        alone.match(unquote(path))
    except (BuildError, ValueError, NotFound, RequestRedirect):
        return None
    return path


def _all(router: wsgi.Router) -> Iterator[wsgi.Router]:
    yield router
    for child in router.routes:
        yield from _all(child)
