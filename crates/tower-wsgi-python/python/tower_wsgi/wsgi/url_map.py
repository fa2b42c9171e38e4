"""The rules of routers as a map of `werkzeug.routing`. It is imported when a router needs it."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_to_bytes

from werkzeug.exceptions import MethodNotAllowed as NotAllowed
from werkzeug.exceptions import NotFound
from werkzeug.routing import Map, RequestRedirect, Rule

from tower_wsgi.wsgi.errors import MethodNotAllowed
from tower_wsgi.wsgi.location import redirect

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import WSGIEnvironment

# An adapter makes absolute URLs of redirects. The host of a request does not belong there: it is
# the client that names it.
_ORIGIN = "http://localhost"
# For compiling a rule that is in no map.
_converters = Map()
_VARIABLE = re.compile(r"<(?:[^<>]*:)?(\w+)>")


class UrlMap:
    """Rules with their endpoints: rules that are more specific come first."""

    def __init__(self, rules: Iterable[Rule]) -> None:
        self._map = Map(rules, redirect_defaults=False)
        self._adapter = self._map.bind("localhost")
        self._map.update()

    def match(
        self, path: str, method: str, environ: WSGIEnvironment
    ) -> tuple[Any, Mapping[str, Any]] | None:
        """Return the endpoint and the values of the variables, or ``None`` if no rule matches.

        Raises `MethodNotAllowed` with the methods that are allowed, and `HttpRedirect` if a slash
        is missing, or one too many.
        """
        try:
            return self._adapter.match(path, method)
        except NotAllowed as error:
            allowed = ", ".join(sorted(error.valid_methods or ()))
            raise MethodNotAllowed(headers=[("Allow", allowed)]) from None
        except RequestRedirect as error:
            moved = unquote_to_bytes(error.new_url.removeprefix(_ORIGIN)).decode("latin-1")
            raise redirect(environ, moved, error.code) from None
        except (NotFound, ValueError):
            # The latter is an integer with more digits than Python converts.
            return None

    def allowed(self, path: str) -> str:
        """Return the methods for the path, as the value of ``Allow``."""
        return ", ".join(sorted(self._adapter.allowed_methods(path)))


def rule(path: str, defaults: Mapping[str, object], methods: set[str], endpoint: object) -> Rule:
    """Return a rule of Werkzeug, for a map."""
    return Rule(path, defaults=defaults or None, methods=methods, endpoint=endpoint)


class PathMatcher:
    """Matches paths against some rules, each with the values that it adds."""

    def __init__(self, rules: Iterable[tuple[str, Mapping[str, object]]]) -> None:
        compiled = [Rule(path, defaults=values or None, endpoint="") for path, values in rules]
        alone = Map(compiled, redirect_defaults=False, merge_slashes=False)
        self._adapter = alone.bind("localhost")

    def match(self, path: str) -> dict[str, Any] | None:
        """Return the values of the variables, or ``None`` if the path does not match."""
        try:
            _, values = self._adapter.match(f"/{path.lstrip('/')}")
        except (NotFound, RequestRedirect, ValueError):
            return None
        return dict(values)


class Compiled:
    """One rule that is in no map: its variables, and the paths that it builds."""

    def __init__(self, path: str) -> None:
        variables = _VARIABLE.findall(path)
        if len(set(variables)) < len(variables):
            raise ValueError(f"the rule {path} has a variable twice")
        if ">" in _VARIABLE.sub("", path):
            raise ValueError(f"the rule {path} is malformed: a variable is written <name>")
        self._rule = Rule(path, endpoint="")
        self._rule.bind(_converters)

    @property
    def variables(self) -> set[str]:
        """The names of the variables."""
        return set(self._rule.arguments)

    def build(self, values: Mapping[str, object]) -> str | None:
        """Return the path with these values, or ``None`` if one does not fit its converter."""
        try:
            built = self._rule.build(values, append_unknown=False)
        except (TypeError, ValueError):
            return None
        return None if built is None else built[1]


# Routers add the rules of their parents to their own at each use.
@lru_cache(maxsize=1024)
def compiled(path: str) -> Compiled:
    """Compile a rule. Raises `ValueError` if it is malformed."""
    try:
        return Compiled(path)
    except LookupError as error:
        raise ValueError(f"the rule {path}: {error}") from error
