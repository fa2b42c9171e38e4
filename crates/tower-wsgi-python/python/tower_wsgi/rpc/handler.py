"""`RpcHandler`: a tree of objects whose methods clients may call."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, ClassVar

from tower_wsgi.rpc.errors import InvalidParams, NoSuchFunction

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from typing_extensions import Self

    from tower_wsgi.wsgi.request import WsgiRequest

_PREFIX = "rpc_"


class RpcHandler:
    """An object whose methods ``rpc_*`` clients may call, and those below it.

    ``rpc_add(self, request, a, b)`` is the method ``add``. The first argument is the
    `WsgiRequest`, the others are those of the client, by position or by name. The methods of a
    handler below this one have its name and a dot before theirs: see `putSubHandler`. In a
    subclass, ``rpc_add = None`` removes an inherited method.
    """

    _methods: ClassVar[Mapping[str, str]] = {}
    _subhandlers: dict[str, RpcHandler]

    def __init__(
        self,
        subhandlers: Mapping[str, RpcHandler] | None = None,
        title: str | None = None,
        documentation: str | None = None,
    ) -> None:
        self.title = title or type(self).__name__
        self.documentation = documentation or ""
        for prefix, handler in (subhandlers or {}).items():
            self.putSubHandler(prefix, handler)

    # Not in `__init__`, which a subclass may override without calling it.
    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Create a handler with none below it."""
        self = super().__new__(cls)
        self._subhandlers = {}
        return self

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls._methods = {
            name.removeprefix(_PREFIX): name
            for name in dir(cls)
            if name.startswith(_PREFIX) or getattr(getattr(cls, name), "_is_rpc_method", False)
            if callable(getattr(cls, name))
        }

    @property
    def subHandlers(self) -> Mapping[str, RpcHandler]:  # noqa: N802 -- pulsar's name
        """The handlers below this one, by name."""
        return dict(self._subhandlers)

    def putSubHandler(self, prefix: str, handler: RpcHandler) -> Self:  # noqa: N802
        """Put a handler below this one: its ``add`` is ``prefix.add``. Return this handler.

        Raises `ValueError` for a name with a dot, and for a handler that is above this one.
        """
        if not prefix or "." in prefix:
            raise ValueError(f"{prefix!r} is not the name of a handler: it must have no dot")
        if not isinstance(handler, RpcHandler):
            raise TypeError(f"{handler!r} is not an RpcHandler")
        if handler is self or any(below is self for below in handler._below()):
            raise ValueError("a handler cannot be below itself")
        self._subhandlers[prefix] = handler
        return self

    def getSubHandler(self, prefix: str) -> RpcHandler | None:  # noqa: N802
        """Return the handler with this name below this one, or ``None``."""
        return self._subhandlers.get(prefix)

    def get_method(self, name: str) -> Callable[..., Any]:
        """Return the method with this name, with dots. Raises `NoSuchFunction`."""
        *prefixes, last = name.split(".")
        handler: RpcHandler = self
        for prefix in prefixes:
            below = handler._subhandlers.get(prefix)
            if below is None:
                raise NoSuchFunction
            handler = below
        attribute = handler._methods.get(last)
        if attribute is None:
            raise NoSuchFunction
        method: Callable[..., Any] = getattr(handler, attribute)
        return method

    def listFunctions(self, prefix: str = "") -> Iterator[tuple[str, str]]:  # noqa: N802
        """Yield the name and the documentation of each method, here and below."""
        for name, attribute in sorted(self._methods.items()):
            yield prefix + name, inspect.getdoc(getattr(self, attribute)) or ""
        for name, handler in sorted(self._subhandlers.items()):
            yield from handler.listFunctions(f"{prefix}{name}.")

    def _below(self) -> Iterator[RpcHandler]:
        for handler in self._subhandlers.values():
            yield handler
            yield from handler._below()


def rpc_method(
    func: Callable[..., Any],
    doc: str | None = None,
    format: str = "json",
    request_handler: Callable[[WsgiRequest, str, dict[str, Any]], dict[str, Any]] | None = None,
) -> Callable[..., Any]:
    """Make a function a method that clients may call, under its own name or as ``rpc_*``.

    ::

        class Calculator(rpc.JSONRPC):
            rpc_power = rpc_method(lambda request, a, b: a**b, doc="a to the power of b")

            @rpc_method
            def add(self, request, a, b):
                return a + b

    The first parameter of the function is the request, or ``self``. ``request_handler`` is called
    with the request, ``format`` and the named arguments, and returns those for the function.
    """
    parameters = list(inspect.signature(func).parameters)
    is_method = parameters[:1] == ["self"]

    def method(self: RpcHandler, request: WsgiRequest, /, *args: object, **kwargs: Any) -> object:  # noqa: ANN401
        if request_handler is not None:
            kwargs = request_handler(request, format, kwargs)
        first = (self, request) if is_method else (request,)
        return call_function(func, (*first, *args), kwargs)

    method.__doc__ = doc or func.__doc__
    method.__name__ = func.__name__
    method._is_rpc_method = True  # type: ignore[attr-defined]
    return method


def call_method(
    method: Callable[..., Any], request: WsgiRequest, params: list[Any] | dict[str, Any]
) -> object:
    """Call a method with the arguments of a client. Raises `InvalidParams` if they do not fit."""
    # The function and not the method, so that no client can give an argument named `self`.
    first = (method.__self__, request) if inspect.ismethod(method) else (request,)
    function = method.__func__ if inspect.ismethod(method) else method
    if isinstance(params, dict):
        return call_function(function, first, params)
    return call_function(function, (*first, *params), {})


def call_function(
    function: Callable[..., Any], args: tuple[object, ...], kwargs: Mapping[str, Any]
) -> object:
    """Call a function. Raises `InvalidParams` if it has other parameters."""
    try:
        return function(*args, **kwargs)
    except TypeError:
        # Only now, because it takes longer than most calls.
        try:
            inspect.signature(function).bind(*args, **kwargs)
        except TypeError as mismatch:
            raise InvalidParams(data=str(mismatch)) from None
        raise
