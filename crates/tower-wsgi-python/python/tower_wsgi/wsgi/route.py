"""`Route`, `route` and `RouterParam`: how a router declares its paths and parameters."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tower_wsgi.wsgi.extra import werkzeug

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

    _F = TypeVar("_F", bound=Callable[..., object])

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
"""The names of the methods of a router that handle the HTTP method of that name."""


class Route:
    """A path with variables: ``/blog/<int:year>/<name>``.

    A variable is ``<name>`` or ``<converter(arguments):name>``, with the converters of
    `werkzeug.routing`: ``string`` (the default), ``int``, ``float``, ``path``, ``any``, ``uuid``.
    ``defaults`` are values for `url`. Those that are no variables of the rule are also among the
    values of a match.

    Raises `ValueError` if the rule is malformed.
    """

    rule: str
    """The rule, without the slash at its start."""

    def __init__(self, rule: str, defaults: Mapping[str, object] | None = None) -> None:
        self.rule = re.sub("/+", "/", f"/{rule}")[1:]
        self.defaults = dict(defaults or {})
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
    def name(self) -> str:
        """A name made of the rule: its words, joined by underscores."""
        return "_".join(re.findall(r"\w+", self.rule))

    def url(self, **values: object) -> str:
        """Return the path with these values of the variables.

        Raises `KeyError` if one is missing, `ValueError` if one does not fit.
        """
        values = {**self.defaults, **values}
        missing = sorted(self._compiled.variables - values.keys())
        if missing:
            raise KeyError(f"the path {self.path} needs values for {', '.join(missing)}")
        return self._compiled.build(values)

    def match(self, path: str) -> dict[str, Any] | None:
        """Return the values of the variables if the whole path matches, else ``None``."""
        found = self._compiled.match(path)
        return None if found is None else {**self.extra_defaults, **found}

    @property
    def extra_defaults(self) -> dict[str, object]:
        """The defaults that are no variables of the rule."""
        variables = self._compiled.variables
        return {name: value for name, value in self.defaults.items() if name not in variables}

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


class Declared(NamedTuple):
    """What `route` has noted about a method of a router."""

    rule: str
    methods: tuple[str, ...]
    defaults: Mapping[str, object] | None
    parameters: dict[str, Any]
    position: int | None
    order: int

    def override(self, inherited: Declared | None) -> Declared:
        """Take the position of the method that this one overrides, unless it has one."""
        if inherited is None or self.position is not None:
            return self
        return self._replace(position=inherited.position, order=inherited.order)


class route:  # noqa: N801 -- a decorator, with pulsar's name
    """Make a child router of a method of a router.

    ::

        class Blog(wsgi.Router):
            def get(self, request):
                return "the blog"

            @wsgi.route("<int:year>")
            def archive(self, request):
                return f"the year {request.urlargs['year']}"

            @wsgi.route(method=("post", "put"))
            def comments(self, request): ...

    Without a ``rule``, it is the name of the method, without a prefix such as ``post_``, which
    gives the HTTP method. Several methods with one rule make one child. The children are in the
    order of their definition, unless they have a ``position``; that decides only between rules that
    are equally specific. ``defaults`` are those of the `Route`, ``parameters`` those of the child.
    """

    _created = itertools.count()

    def __init__(
        self,
        rule: str | None = None,
        method: str | Iterable[str] | None = None,
        defaults: Mapping[str, object] | None = None,
        position: int | None = None,
        re: bool = False,
        **parameters: Any,  # noqa: ANN401
    ) -> None:
        if re:
            raise ValueError(
                "a rule cannot be a regular expression: use a converter, as in <any(a, b):name>"
            )
        self._rule = rule
        self._method = method
        self._defaults = defaults
        self._position = position
        self._parameters = parameters
        self._order = next(route._created)

    def __call__(self, function: _F) -> _F:
        """Declare that the function handles requests for the rule."""
        prefix, _, rest = function.__name__.partition("_")
        if rest and prefix in METHODS:
            method, name = prefix, rest
        else:
            method, name = "get", function.__name__
        parameters = {"name": name, **self._parameters}
        function.rule_method = Declared(  # type: ignore[attr-defined]
            self._rule or parameters["name"],
            http_methods(self._method or method),
            self._defaults,
            parameters,
            self._position,
            self._order if self._position is None else self._position,
        )
        return function


def http_methods(methods: str | Iterable[str]) -> tuple[str, ...]:
    """Return the names in lower case. Raises `ValueError` for one that a router cannot handle."""
    methods = (methods,) if isinstance(methods, str) else methods
    names = tuple(method.lower() for method in methods)
    for name in names:
        if name not in METHODS:
            raise ValueError(f"a router does not handle the method {name}: use {METHODS}")
    return names


def declared_methods(cls: type) -> dict[str, Declared]:
    """Return the methods of a class that `route` decorates, in the order of their children."""
    found: dict[str, Declared] = {}
    for base in reversed(cls.__mro__):
        for name, value in vars(base).items():
            declared = getattr(value, "rule_method", None)
            if isinstance(declared, Declared):
                found[name] = declared.override(found.get(name))
            else:
                # Overridden without the decorator, it is no child any more.
                found.pop(name, None)
    return dict(sorted(found.items(), key=lambda item: item[1].order))


class RouterParam:
    """A class attribute of a router that its children inherit.

    A child that has no value of its own, or ``None``, has that of its parent.
    """

    def __init__(self, value: object = None) -> None:
        self.value = value
        self._name = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, router: Any, owner: type) -> Any | Self:  # noqa: ANN401
        if router is None:
            return self
        parent = router.parent
        if self.value is None and parent is not None:
            return getattr(parent, self._name, None)
        return self.value
