"""`Router`: a middleware that calls the handler of a path."""

from __future__ import annotations

import html
import itertools
import threading
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from tower_wsgi.wsgi.endpoint import Endpoint, SkipRoute
from tower_wsgi.wsgi.response import WsgiResponse
from tower_wsgi.wsgi.route import METHODS, RouterParam, declared_methods, http_methods
from tower_wsgi.wsgi.rule import Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from werkzeug.routing import Rule

    from tower_wsgi.wsgi.endpoint import Handler, Response
    from tower_wsgi.wsgi.request import WsgiRequest
    from tower_wsgi.wsgi.route import Declared
    from tower_wsgi.wsgi.url_map import UrlMap

# Trees of routers are changed and compiled one at a time; a compiled one is only read.
_lock = threading.RLock()
_COMPILED = frozenset((*METHODS, "response_content_types", "response_wrapper"))


class Resolved(NamedTuple):
    """Which handler a request is for."""

    router: Router
    handler: Handler
    urlargs: Mapping[str, Any]


class Router:
    """A middleware for the requests whose path matches its rule or that of one of its children.

    ::

        class Hello(wsgi.Router):
            def get(self, request):
                return "Hello!"

            @wsgi.route("<name>")
            async def hello(self, request):
                return f"Hello {request.urlargs['name']}!"

        application = wsgi.WsgiHandler([Hello("/hello/")])

    ``rule`` is the text of a `Route`, below that of the parent. The methods ``get``, ``head``,
    ``post``, ``put``, ``patch``, ``delete`` and ``options`` handle the requests with the HTTP
    method of that name. A handler is called with the `WsgiRequest`, and returns, perhaps later, a
    `WsgiResponse`, or text, bytes or an iterable as the content of one. ``None``, and raising
    ``self.SkipRoute``, passes the request on to the next middleware, as does a path that no rule
    matches. ``children`` are other routers; each of ``parameters`` becomes an attribute, so that
    ``Router("/", get=hello)`` needs no class. A `RouterParam` is inherited by the children.

    A router whose method ``get`` is defined handles ``HEAD`` as well. ``OPTIONS`` gets a 200, and a
    method without a handler a 405, both with the header ``Allow``. A missing slash at the end of
    the path, and doubled slashes, get a redirect with status 308. Where several rules match, the
    most specific one is chosen, as `werkzeug.routing` defines it.

    The server takes a router as an application, too. Another WSGI server needs a `WsgiHandler`
    around it, which makes the responses to errors.

    Raises `ValueError` if a rule is malformed, or is that of another child; `ImportError` if
    Werkzeug is not installed.
    """

    SkipRoute = SkipRoute

    name: str = ""
    """The name for `get_route`: by default the words of the rule, joined by underscores."""

    response_content_types: Any = RouterParam(None)
    """The content types that a handler can respond with, the preferred one first.

    A client that accepts none of them gets a 406. Otherwise the best one is the content type of
    ``request.response``, and of each response that has none.
    """

    response_wrapper: Any = RouterParam(None)
    """If set, ``response_wrapper(handler, request)`` is called in place of each handler."""

    rule_methods: dict[str, Declared] = {}  # noqa: RUF012 -- replaced in each class
    """What `route` has declared in the class: each is a child of its routers."""

    _created = itertools.count(1)
    _parent: Router | None = None
    _url_map: UrlMap | None = None

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.rule_methods = declared_methods(cls)

    def __init__(self, rule: str | Route, *children: Router, **parameters: Any) -> None:  # noqa: ANN401
        self._creation_count = next(Router._created)
        self._route = rule if isinstance(rule, Route) else Route(rule)
        self.routes: list[Router] = []
        parameters["name"] = parameters.get("name") or self._route.name or self.name
        self._set(parameters)
        for child in children:
            self.add_child(child)
        for name, declared in self.rule_methods.items():
            self.add_child(
                self.make_router(
                    declared.rule,
                    declared.method,
                    getattr(self, name),
                    **declared.parameters,
                )
            )

    # What a router is.

    @property
    def route(self) -> Route:
        """The route of this router, below that of its parent."""
        return self._route

    @property
    def full_route(self) -> Route:
        """The route of this router, with those of its parents."""
        return self._route if self._parent is None else self._parent.full_route + self._route

    @property
    def rule(self) -> str:
        """The rule of the full route, without the slash at its start."""
        return self.full_route.rule

    @property
    def parent(self) -> Router | None:
        """The router that this one is a child of."""
        return self._parent

    @property
    def creation_count(self) -> int:
        """A number that is greater than those of all routers that were created before."""
        return self._creation_count

    @property
    def root(self) -> Router:
        """The router at the top of the tree."""
        return self if self._parent is None else self._parent.root

    @property
    def defaults(self) -> dict[str, object]:
        """The values of the parameters that the class declares by `RouterParam`."""
        return {
            name: value.value
            for base in reversed(type(self).__mro__)
            for name, value in vars(base).items()
            if isinstance(value, RouterParam)
        }

    def path(self, **urlargs: object) -> str:
        """Return the path of this router, with these values of its variables.

        Raises `KeyError` if one is missing, `ValueError` if one does not fit.
        """
        return self.full_route.url(**urlargs)

    def link(self, text: str | None = None, **urlargs: object) -> str:
        """Return the HTML of a link to the path; its text is the path by default."""
        path = self.path(**urlargs)
        text = path if text is None else text
        return f'<a href="{html.escape(path)}">{html.escape(text)}</a>'

    def getparam(self, name: str, default: Any = None, parents: bool = False) -> Any:  # noqa: ANN401
        """Return an attribute, or that of the nearest parent that has it, or the default."""
        value = getattr(self, name, None)
        if value is not None:
            return value
        if parents and self._parent is not None:
            return self._parent.getparam(name, default, parents)
        return default

    def has_parent(self, router: Router) -> bool:
        """Whether ``router`` is this one or one of its parents."""
        return router is self or (self._parent is not None and self._parent.has_parent(router))

    def get_route(self, name: str) -> Router | None:
        """Return the nearest router of this name among the children and their children."""
        for child in self.routes:
            if child.name == name:
                return child
        for child in self.routes:
            if (found := child.get_route(name)) is not None:
                return found
        return None

    # Its children.

    def add_child(self, router: Router, index: int | None = None) -> Router:
        """Add a router to the children, at ``index`` or at their end, and return it.

        It leaves its former parent. Raises `ValueError` if another child has its rule, or if the
        rules of both have a variable in common.
        """
        if not isinstance(router, Router):
            raise TypeError(f"{router!r} cannot be a child of a router: it is no Router")
        with _lock:
            if any(child is router for child in self.routes):
                return router
            if self.has_parent(router):
                raise ValueError(f"the router {router} cannot be a child of itself")
            if any(child.route == router.route for child in self.routes):
                raise ValueError(f"the router {self} has a child with the rule {router.route}")
            for route in router._routes():
                _ = self.full_route + route
            if router.parent is not None:
                router.parent.remove_child(router)
            self.routes.insert(len(self.routes) if index is None else index, router)
            router._parent = self
            self._changed()
        return router

    add_route = add_child

    def remove_child(self, router: Router) -> None:
        """Remove a router from the children, if it is one."""
        with _lock:
            if any(child is router for child in self.routes):
                self.routes = [child for child in self.routes if child is not router]
                router._parent = None
                self._changed()

    def router(
        self, rule: str, methods: Iterable[str] = ("get",)
    ) -> Callable[[Callable[..., object]], Callable[..., object]]:
        """Make a child of a function: ``@app.router("/hello", methods=["post"])``."""

        def handler(function: Callable[..., object]) -> Callable[..., object]:
            name = getattr(function, "__name__", None)
            child = self.make_router(rule, http_methods(methods), function, name=name)
            self.add_child(child)
            return function

        return handler

    def make_router(
        self,
        rule: str | Route,
        method: str | Iterable[str] | None = None,
        handler: Callable[..., object] | None = None,
        cls: type[Router] | None = None,
        **parameters: Any,  # noqa: ANN401
    ) -> Router:
        """Return a router with this handler: the child that has the rule already, or a new one."""
        route = rule if isinstance(rule, Route) else Route(rule)
        cls = cls or Router
        for child in self.routes:
            if child.route == route and isinstance(child, cls):
                router = child
                router._set({**parameters, "name": router.name})
                break
        else:
            router = cls(route, **parameters)
        if method is not None and handler is not None:
            router._set(dict.fromkeys(http_methods(method), handler))
        return router

    # What it does with a request.

    def __call__(
        self, environ: WSGIEnvironment, start_response: StartResponse | None = None
    ) -> Response:
        """Return the response of the handler for the request, or ``None`` if there is none."""
        path = environ.get("PATH_INFO", "")
        if not path.isascii():
            path = path.encode("latin-1").decode("utf-8", "replace")
        method = environ["REQUEST_METHOD"].upper()
        found = self._match(path, method, environ)
        if found is None:
            return None
        endpoint, urlargs = found
        handler = endpoint.handlers.get(method)
        if handler is None:
            return self._allow(path)
        return endpoint.call(handler, environ, urlargs)

    def resolve(self, path: str, method: str = "GET") -> Resolved | None:
        """Return the handler for a path and an HTTP method, or ``None`` if no rule matches.

        Raises `MethodNotAllowed`, and `HttpRedirect` if the path is not the canonical one.
        """
        method = method.upper()
        found = self._match(path or "/", method, {})
        if found is None:
            return None
        endpoint, urlargs = found
        handler = endpoint.handlers.get(method)
        if handler is None:
            handler = partial(_ignore_request, self._allow(path))
        return Resolved(endpoint.router, handler, urlargs)

    def _match(
        self, path: str, method: str, environ: WSGIEnvironment
    ) -> tuple[Endpoint, Mapping[str, Any]] | None:
        url_map = self._url_map or self._compile()
        return url_map.match(path, method, environ)

    def _allow(self, path: str) -> WsgiResponse:
        url_map = self._url_map or self._compile()
        return WsgiResponse(200, None, [("Allow", url_map.allowed(path))], "text/plain")

    # The map of its rules, which is compiled for the first request after a change.

    def _compile(self) -> UrlMap:
        from tower_wsgi.wsgi.url_map import UrlMap

        with _lock:
            url_map = self._url_map
            if url_map is None:
                url_map = UrlMap(self._rules(None))
                self.__dict__["_url_map"] = url_map
            return url_map

    def _rules(self, above: Route | None) -> Iterator[Rule]:
        from tower_wsgi.wsgi.url_map import rule

        whole = self._route if above is None else above + self._route
        endpoint = Endpoint(self)
        if endpoint.handlers:
            for path, values in whole.rules():
                yield rule(path, values, endpoint.methods, endpoint)
        for child in self.routes:
            yield from child._rules(whole)

    def _routes(self) -> Iterator[Route]:
        yield self._route
        for child in self.routes:
            for route in child._routes():
                yield self._route + route

    def _changed(self) -> None:
        self.__dict__["_url_map"] = None
        if self._parent is not None:
            self._parent._changed()

    def _set(self, parameters: Mapping[str, object]) -> None:
        for name, value in parameters.items():
            setattr(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        super().__setattr__(name, value)
        if name in _COMPILED:
            with _lock:
                self._changed()

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401
        # Not found by the usual means: perhaps a parent declares it as a parameter.
        if not name.startswith("__"):
            parent = self._parent
            while parent is not None:
                if isinstance(getattr(type(parent), name, None), RouterParam):
                    return getattr(parent, name)
                parent = parent._parent
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __repr__(self) -> str:
        return repr(self.full_route)


def _ignore_request(response: WsgiResponse, request: WsgiRequest) -> WsgiResponse:
    return response
