"""Awaitable results: how they are recognised, awaited and closed."""

from __future__ import annotations

import asyncio
import concurrent.futures
from functools import cache
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import (
        AsyncIterable,
        AsyncIterator,
        Awaitable,
        Coroutine,
        Generator,
        Iterable,
    )

_T = TypeVar("_T")


def is_awaitable(result: object) -> bool:
    """Whether the result comes later."""
    kind = type(result)
    if hasattr(kind, "__await__"):
        return not issubclass(kind, _Ready)
    return issubclass(kind, concurrent.futures.Future)


def is_async_iterable(result: object) -> bool:
    """Whether the pieces can only be iterated over asynchronously.

    An object that supports both protocols, such as Django's streams, is an ordinary iterable.
    """
    kind = type(result)
    return hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__")


async def resolve(result: Awaitable[_T] | _T) -> _T:
    """Await the result, until it is not awaitable."""
    while is_awaitable(result):
        if isinstance(result, concurrent.futures.Future):
            result = asyncio.wrap_future(result)
        result = await result  # type: ignore[misc]
    return result  # type: ignore[return-value]


def close(result: object) -> None:
    """Call the ``close`` of a result, if it has one; cancel a future."""
    method = getattr(result, "close", None)
    if method is None and is_awaitable(result):
        method = getattr(result, "cancel", None)
    if method is not None:
        method()


async def aclose(result: object) -> None:
    """Call the ``aclose`` of an asynchronous result, or the ``close`` of another."""
    if is_async_iterable(result) and (method := getattr(result, "aclose", None)) is not None:
        await method()
    else:
        close(result)


class Later(Generic[_T]):
    """Awaits a coroutine. If it is closed before, it closes what the coroutine would have used."""

    def __init__(self, coroutine: Coroutine[Any, Any, _T], *used: object) -> None:
        self._coroutine = coroutine
        self._used = used

    def __await__(self) -> Generator[Any, Any, _T]:
        self._used = ()
        return self._coroutine.__await__()

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()
        used, self._used = self._used, ()
        for result in used:
            close(result)


class Pieces:
    """The pieces of an iterable of either kind, as an asynchronous iterator."""

    def __init__(self, result: Iterable[bytes] | AsyncIterable[bytes]) -> None:
        self._later: AsyncIterator[bytes] | None = None
        if is_async_iterable(result):
            self._later = aiter(result)  # type: ignore[arg-type]
        else:
            self._now = iter(result)  # type: ignore[arg-type]

    def __aiter__(self) -> Pieces:
        return self

    async def __anext__(self) -> bytes:
        if self._later is not None:
            return await resolve(await anext(self._later))
        for piece in self._now:
            return await resolve(piece)
        raise StopAsyncIteration


def ready(value: _T) -> _T:
    """Return a copy of a value of a built-in or similar type, which may also be awaited.

    So one function serves handlers that await its result and others. It is not `is_awaitable`.
    ``None``, numbers and truth values have no such copy.
    """
    kind = type(value)
    if value is None or issubclass(kind, (bool, int, float)):
        return value
    copy: _T = _ready_type(kind)(value)  # type: ignore[arg-type]
    return copy


class _Ready:
    def __await__(self) -> Generator[Any, Any, object]:
        return type(self).__bases__[1](self)
        yield


@cache
def _ready_type(kind: type) -> type:
    return type(f"Ready{kind.__name__}", (_Ready, kind), {})
