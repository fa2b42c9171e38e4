"""`Route`: a path with variables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from tower_wsgi.wsgi.extra import werkzeug

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tower_wsgi.wsgi.url_map import PathMatcher

_REMAINING = "__remaining__"
_PATH_AT_END = re.compile(r"<path:(\w+)>$")


class Route:
    """A path with variables: ``/blog/<int:year>/<name>``.

    A variable is ``<name>`` or ``<converter(arguments):name>``, with the converters of
    `werkzeug.routing`: ``string`` (the default), ``int``, ``float``, ``path``, ``any``, ``uuid``.
    ``defaults`` are values for `url`. Those that are no variables of the rule are also among the
    values of a match. A ``<path:name>`` at the end may be empty if ``""`` is its default.

    Raises `ValueError` if the rule is malformed.
    """

    rule: str
    """The rule, without the slash at its start."""

    def __init__(self, rule: str, defaults: Mapping[str, object] | None = None) -> None:
        self.rule = re.sub("/+", "/", f"/{rule}")[1:]
        self.defaults = dict(defaults or {})
        self._matchers: list[PathMatcher] = []
        werkzeug("routing")
        from tower_wsgi.wsgi.url_map import compiled

        self._compiled = compiled(self.path)

    @property
    def path(self) -> str:
        """The rule, with the slash at its start."""
        return f"/{self.rule}"

    @property
    def is_leaf(self) -> bool:
        """Whether the rule does not end with a slash."""
        return not self.path.endswith("/")

    @property
    def variables(self) -> set[str]:
        """The names of the variables, including those of the defaults."""
        return {*self._compiled.variables, *self.defaults}

    @property
    def breadcrumbs(self) -> tuple[tuple[bool, str], ...]:
        """For each part between the slashes, whether it is a variable, and its text or name."""
        parts = [part for part in self.rule.split("/") if part]
        names = [re.fullmatch(r"<(?:[^<>]*:)?(\w+)>", part) for part in parts]
        return tuple(
            (True, name[1]) if name else (False, part)
            for part, name in zip(parts, names, strict=True)
        )

    @property
    def level(self) -> int:
        """The number of parts between the slashes."""
        return len(self.breadcrumbs)

    @property
    def name(self) -> str:
        """A name made of the rule: its words, joined by underscores."""
        return "_".join(re.findall(r"\w+", self.rule))

    def url(self, **values: object) -> str:
        """Return the path with these values of the variables. It matches this route.

        Raises `KeyError` if one is missing, `ValueError` if one does not fit.
        """
        values = {**self.defaults, **values}
        missing = sorted(self._compiled.variables - values.keys())
        if missing:
            raise KeyError(f"the path {self.path} needs values for {', '.join(missing)}")
        path = self._compiled.build(values)
        if path is None or self._whole_and_longer()[0].match(unquote(path)) is None:
            raise ValueError(f"a value does not fit in the path {self.path}: {values}")
        return path

    def match(self, path: str) -> dict[str, Any] | None:
        """Return the values of the variables, or ``None`` if the path does not match.

        A route that ends with a slash matches longer paths, too; the value ``__remaining__`` is
        what follows then.
        """
        for matcher in self._whole_and_longer():
            if (found := matcher.match(path)) is not None:
                return found
        return None

    def _whole_and_longer(self) -> list[PathMatcher]:
        """The matcher of whole paths, and that of longer ones, if there are any."""
        if not self._matchers:
            from tower_wsgi.wsgi.url_map import PathMatcher

            matchers = [PathMatcher(self.rules())]
            if not self.is_leaf:
                longer = [(f"{path}<path:{_REMAINING}>", added) for path, added in self.rules()]
                matchers.append(PathMatcher(longer))
            self._matchers = matchers
        return self._matchers

    def rules(self) -> Iterator[tuple[str, dict[str, object]]]:
        """Return the rules for `werkzeug.routing`, each with the values that it adds."""
        variables = self._compiled.variables
        added = {name: value for name, value in self.defaults.items() if name not in variables}
        yield self.path, added
        end = _PATH_AT_END.search(self.path)
        # The converter takes no empty path.
        if end is not None and self.defaults.get(end[1]) == "":
            yield self.path[: end.start()], {**added, end[1]: ""}

    def split(self) -> tuple[Route, Route | None]:
        """Return the route of all parts but the last, and that of the last part, if any."""
        above, _, last = self.rule.rstrip("/").rpartition("/")
        if not last:
            return Route("/"), None
        return Route(f"{above}/"), Route(last if self.is_leaf else f"{last}/")

    def __add__(self, other: Route | str) -> Route:
        if isinstance(other, str):
            return Route(f"{self.rule}/{other}", self.defaults)
        return Route(f"{self.rule}/{other.rule}", {**self.defaults, **other.defaults})

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Route) and self.rule == other.rule

    def __hash__(self) -> int:
        return hash(self.rule)

    def __repr__(self) -> str:
        return self.path
