"""`route` and `RouterParam`: what a class of routers declares for its children.

`Route`, which pulsar has in this module, is in `tower_wsgi.wsgi.rule`.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from tower_wsgi.wsgi.rule import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from typing_extensions import Self

    _F = TypeVar("_F", bound=Callable[..., object])

__all__ = [
    "METHODS",
    "Declared",
    "Route",
    "RouterParam",
    "declared_methods",
    "http_methods",
    "route",
]

METHODS = ("get", "head", "post", "put", "patch", "delete", "options")
"""The names of the methods of a router that handle the HTTP method of that name."""


class Declared(NamedTuple):
    """What `route` has noted about a method of a router."""

    rule: Route
    method: str | tuple[str, ...]
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

    _created = itertools.count(1)

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
        names = http_methods(self._method or method)
        function.rule_method = Declared(  # type: ignore[attr-defined]
            Route(self._rule or parameters["name"], self._defaults),
            names[0] if len(names) == 1 else names,
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
