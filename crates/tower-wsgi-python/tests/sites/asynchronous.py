"""Applications that respond asynchronously, in each form, and what became of them.

`application` is called on a thread of the pool; `on_loop` is the same as an ``async def``.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextvars
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterator

happened: Counter[str] = Counter()
threads: dict[str, str] = {}
gates: dict[str, asyncio.Event] = {}
variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="nothing")
executor = concurrent.futures.ThreadPoolExecutor(1)

HEADERS = [("Content-Type", "text/plain")]


def here(name: str) -> None:
    threads[name] = threading.current_thread().name


def gate(name: str) -> asyncio.Event:
    return gates.setdefault(name, asyncio.Event())


async def text(*pieces: bytes) -> list[bytes]:
    here("text")
    await asyncio.sleep(0)
    return list(pieces)


async def piece(data: bytes) -> bytes:
    await asyncio.sleep(0)
    return data


class Awaitable:
    def __init__(self, result: Any) -> None:
        self.result = result

    def __await__(self) -> Generator[Any, None, Any]:
        yield from asyncio.sleep(0).__await__()
        return self.result


class Closed:
    """An iterable that counts its end."""

    def __init__(self, name: str, body: AsyncIterator[Any]) -> None:
        self.name = name
        self.body = body

    def __aiter__(self) -> AsyncIterator[Any]:
        return self.body

    async def aclose(self) -> None:
        here("aclose")
        happened["aclose " + self.name] += 1


def simple_async() -> Iterator[Any]:
    """The example of the specification."""
    yield b"hello"
    future: asyncio.Future[bytes] = asyncio.Future()
    future.set_result(b" ")
    yield future
    yield b"World!"


async def generator(name: str) -> AsyncIterator[Any]:
    try:
        yield b"one,"
        yield piece(b"two,")
        await asyncio.sleep(0)
        yield b"three"
    finally:
        here("generator")
        happened["closed " + name] += 1


async def steps(name: str) -> AsyncIterator[bytes]:
    try:
        yield b"one"
        happened["waits " + name] += 1
        await gate(name).wait()
        yield b"two"
    except asyncio.CancelledError:
        happened["cancelled " + name] += 1
        raise
    finally:
        happened["ended " + name] += 1


def sync_steps(name: str, loop: asyncio.AbstractEventLoop) -> Iterator[Any]:
    try:
        here("sync_steps")
        yield b"one"
        yield waited(name)
        here("sync_steps later")
    finally:
        happened["ended " + name] += 1


async def waited(name: str) -> bytes:
    here("waited")
    happened["waits " + name] += 1
    await gate(name).wait()
    return b"two"


async def fails() -> list[bytes]:
    await asyncio.sleep(0)
    raise LookupError("before the first piece")


async def exits() -> list[bytes]:
    raise SystemExit("an exit in a task")


async def breaks(name: str) -> AsyncIterator[bytes]:
    try:
        yield b"one"
        raise LookupError("after the first piece")
    finally:
        happened["closed " + name] += 1


async def many(name: str) -> AsyncIterator[bytes]:
    try:
        while True:
            happened["piece " + name] += 1
            yield bytes(16 * 1024)
    finally:
        happened["closed " + name] += 1


async def writes(write: Callable[[bytes], Any], name: str) -> list[bytes]:
    for _ in range(200):
        room = write(bytes(16 * 1024))
        happened["written " + name] += 1
        if room is not None:
            happened["waits " + name] += 1
            await room
    return [b"the end"]


async def continues(write: Callable[[bytes], Any], name: str) -> list[bytes]:
    write(b"whole")
    await gate(name).wait()
    happened["continued " + name] += 1
    return []


async def context() -> list[bytes]:
    before = variable.get()
    variable.set("of this request")
    await asyncio.sleep(0)
    return [f"{before}, {variable.get()}".encode()]


async def ignores() -> list[bytes]:
    happened["ignores"] += 1
    while True:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            happened["ignored"] += 1


async def later() -> None:
    await asyncio.sleep(1.0)
    print("the background task has finished", flush=True)


async def holds_up(seconds: float) -> list[bytes]:
    time.sleep(seconds)
    return [b"held up"]


arrived = 0


async def meets(count: int) -> list[bytes]:
    """Ends when ``count`` requests have arrived."""
    global arrived
    arrived += 1
    if arrived == count:
        gate("all").set()
    await gate("all").wait()
    return [b"met"]


def body(path: str, environ: dict[str, Any], write: Callable[[bytes], Any]) -> Any:
    """The body for a path; the rest of the path is a name."""
    kind, _, name = path[1:].partition("/")
    loop = environ["pulsar.connection"]._loop
    here("called")
    if kind == "open":
        loop.call_soon_threadsafe(gate(name).set)
        return [b"opened"]
    if kind == "future":
        future = loop.create_future()
        future.set_result([b"a future"])
        return future
    if kind == "timer":
        future = loop.create_future()
        loop.call_later(0.01, future.set_result, [b"a timer"])
        return future
    if kind == "background":
        happened["background"] += 1
        asyncio.ensure_future(later())  # noqa: RUF006
        return [b"started"]
    bodies: dict[str, Callable[[], Any]] = {
        "plain": lambda: [b"plain"],
        "simple_async": simple_async,
        "coroutine": lambda: text(b"a ", b"coroutine"),
        "task": lambda: asyncio.ensure_future(text(b"a task")),
        "awaitable": lambda: Awaitable([b"an ", b"awaitable"]),
        "concurrent": lambda: executor.submit(lambda: [b"concurrent"]),
        "futures": lambda: (asyncio.ensure_future(piece(data)) for data in (b"f1,", b"f2")),
        "list": lambda: [b"a ", piece(b"list")],
        "single": lambda: [piece(b"single")],
        "tuple": lambda: (Awaitable(b"a tuple"),),
        "of generator": lambda: Awaitable(generator(name)),
        "generator": lambda: generator(name),
        "closed": lambda: Closed(name, generator(name)),
        "steps": lambda: steps(name),
        "closed steps": lambda: Closed(name, steps(name)),
        "sync steps": lambda: sync_steps(name, loop),
        "fails": fails,
        "exits": exits,
        "breaks": lambda: Closed(name, breaks(name)),
        "many": lambda: many(name),
        "writes": lambda: writes(write, name),
        "continues": lambda: continues(write, name),
        "context": context,
        "ignores": ignores,
        "holds up": lambda: holds_up(float(name)),
        "meets": lambda: meets(int(name)),
        "wrong": lambda: Awaitable("text"),
        "happened": lambda: [str(happened[name]).encode()],
        "thread": lambda: [threads.get(name, "").encode()],
    }
    return bodies[kind]()


def start(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    length = [("Content-Length", "5")] if environ["PATH_INFO"].startswith("/continues") else []
    return start_response("200 OK", HEADERS + length)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    write = start(environ, start_response)
    return body(environ["PATH_INFO"], environ, write)


async def on_loop(environ: dict[str, Any], start_response: Callable[..., Any]) -> Any:
    write = start(environ, start_response)
    return body(environ["PATH_INFO"], environ, write)
