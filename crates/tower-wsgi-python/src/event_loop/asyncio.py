"""Run with the globals of a dictionary: the driver of asyncio, see `driver::Driver`."""

from __future__ import annotations

import asyncio
import concurrent.futures
import threading
import time
from inspect import CO_ITERABLE_COROUTINE
from types import CoroutineType, GeneratorType
from typing import Any

try:
    from uvloop import Loop as _Loop
except ImportError:
    from asyncio import SelectorEventLoop as _Loop

# The part of the remaining time in which tasks may react to their cancellation.
_REACTION = 0.1


def _make_loop(machine: Any) -> Any:
    """A loop whose methods for callbacks may be called on any thread.

    An application that is called on a thread of a pool has it as its current loop, and uses it as
    one does on the loop's own thread.
    """
    get_ident = threading.get_ident
    call_soon = _Loop.call_soon
    call_later = _Loop.call_later
    call_at = _Loop.call_at
    call_soon_threadsafe = _Loop.call_soon_threadsafe
    run_until_complete = _Loop.run_until_complete
    close = _Loop.close

    class Loop(_Loop):  # type: ignore[misc, valid-type]
        owner: int | None = None

        def call_soon(self, callback: Any, *args: Any, context: Any = None) -> Any:
            if get_ident() == self.owner:
                return call_soon(self, callback, *args, context=context)
            return self.call_soon_threadsafe(callback, *args, context=context)

        def call_soon_threadsafe(self, callback: Any, *args: Any, context: Any = None) -> Any:
            machine.start()
            return call_soon_threadsafe(self, callback, *args, context=context)

        def call_later(self, delay: float, callback: Any, *args: Any, context: Any = None) -> Any:
            if get_ident() == self.owner:
                return call_later(self, delay, callback, *args, context=context)
            return self.call_at(self.time() + delay, callback, *args, context=context)

        def call_at(self, when: float, callback: Any, *args: Any, context: Any = None) -> Any:
            if get_ident() == self.owner:
                return call_at(self, when, callback, *args, context=context)
            timer = asyncio.TimerHandle(when, callback, args, self, context)
            self.call_soon_threadsafe(call_at, self, when, _run_timer, timer)
            return timer

        def run_until_complete(self, future: Any) -> Any:
            if get_ident() == self.owner:
                return run_until_complete(self, future)
            # The loop runs, but not on this thread, which can wait.
            return asyncio.run_coroutine_threadsafe(_wait_for(future), self).result()

        def close(self) -> None:
            if get_ident() == self.owner:
                close(self)

        def _timer_handle_cancelled(self, handle: Any) -> None:
            # It counts the timers that it has made itself; those above are in none of its lists.
            pass

    return Loop()


async def _wait_for(future: Any) -> Any:
    return await future


def _run_timer(timer: asyncio.TimerHandle) -> None:
    if not timer.cancelled():
        timer._run()


class Driver:
    """The loop, and its tasks."""

    cancelled = asyncio.CancelledError
    set_current = staticmethod(asyncio.set_event_loop)

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.loop = _make_loop(machine)
        self.is_stopping = False

    def run(self) -> None:
        loop = self.loop
        loop.owner = threading.get_ident()
        asyncio.set_event_loop(loop)
        loop.add_reader(self.machine.fileno(), self.machine.drain)
        while not self.is_stopping:
            try:
                loop.run_forever()
            except BaseException as error:  # noqa: BLE001
                # A task of the application has raised it, such as SystemExit. It ends only that.
                context = {"message": "a task has raised an exit", "exception": error}
                loop.call_exception_handler(context)

    def thread_ident(self) -> int:
        return threading.get_ident()

    def respond(self, exchange: Any) -> Any:
        return self._task(exchange.context, _respond(exchange))

    def perform(self, call: Any) -> Any:
        return self._task(call.context, _perform(call))

    def _task(self, context: Any, coroutine: Any) -> Any:
        if context is None:
            return self.loop.create_task(coroutine)
        # Python 3.10 has no argument for it.
        return context.run(self.loop.create_task, coroutine)

    def cancel(self, task: Any) -> None:
        task.cancel()

    def notify(self, waiter: Any) -> None:
        if not waiter.done():
            waiter.set_result(None)

    def room(self, exchange: Any) -> Any:
        waiter = self.loop.create_future()
        if not exchange.wait_for_room(waiter):
            waiter.set_result(None)
        return waiter

    def stop(self, seconds: float) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            self.stopping = self.loop.create_task(self._stop(time.monotonic() + seconds))

    async def _stop(self, deadline: float) -> None:
        this = asyncio.current_task()
        loop = self.loop

        def tasks() -> set[Any]:
            return {task for task in asyncio.all_tasks(loop) if task is not this}

        async def wait(until: float) -> set[Any]:
            while (left := tasks()) and (seconds := until - time.monotonic()) > 0:
                await asyncio.wait(left, timeout=seconds)
            return left

        try:
            now = time.monotonic()
            left = await wait(deadline - min(1.0, _REACTION * (deadline - now)))
            if left:
                self.machine.tasks_left(len(left), _names(left), False)
                for task in left:
                    task.cancel()
                left = await wait(max(deadline, time.monotonic() + _REACTION))
            if left:
                self.machine.tasks_left(len(left), _names(left), True)
            await asyncio.wait_for(loop.shutdown_asyncgens(), _REACTION)
        finally:
            loop.stop()


def _names(tasks: set[Any]) -> str:
    """The names of what the first tasks run."""
    return ", ".join(sorted({_name(task) for task in tasks})[:5])


def _name(task: Any) -> str:
    name = repr(task)
    coroutine = task.get_coro()
    # The first that is not of this script.
    while code := getattr(coroutine, "cr_code", None):
        name = coroutine.__qualname__
        if code.co_filename != __file__:
            break
        coroutine = coroutine.cr_await
    return name


async def _respond(exchange: Any) -> None:
    try:
        body = exchange.call()
        if exchange.is_cancelled:
            await _discard(exchange, body)
            raise asyncio.CancelledError
        # Most bodies are lists, which this is the fastest way to find out.
        while not exchange.send_whole(body):
            if (awaitable := _awaitable(body)) is None:
                await _send(exchange, body)
                break
            body = await awaitable
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001
        exchange.fail(error)
        # The application may keep the traceback, and with it the exchange.
        exchange.release()


async def _send(exchange: Any, body: Any) -> None:
    """Send the pieces of ``body``, and close it."""
    is_async = _is_async(body)
    try:
        if is_async:
            async for piece in body:
                await _send_piece(exchange, piece)
        else:
            for piece in exchange.iterate(body):
                await _send_piece(exchange, piece)
        exchange.finish()
    finally:
        await _close(exchange, body, is_async)


async def _send_piece(exchange: Any, piece: Any) -> None:
    if type(piece) is not bytes:
        while (awaitable := _awaitable(piece)) is not None:
            piece = await awaitable
    if not exchange.send(piece):
        await _room(exchange)


async def _room(exchange: Any) -> None:
    waiter = asyncio.get_running_loop().create_future()
    if exchange.wait_for_room(waiter):
        await waiter


async def _close(exchange: Any, body: Any, is_async: bool) -> None:
    close = getattr(body, "aclose", None) if is_async else None
    if close is None:
        close = getattr(body, "close", None)
    if close is None:
        return
    try:
        closed = close()
        if (awaitable := _awaitable(closed)) is not None:
            await awaitable
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001
        exchange.close_failed(error)


async def _discard(exchange: Any, body: Any) -> None:
    """Close what was returned on another thread for a client that has left."""
    if isinstance(body, (asyncio.Future, concurrent.futures.Future)):
        body.cancel()
    else:
        await _close(exchange, body, _is_async(body))


async def _perform(call: Any) -> None:
    try:
        result = call.call()
        if (awaitable := _awaitable(result)) is not None:
            result = await awaitable
    except GeneratorExit:
        raise
    except BaseException as error:  # noqa: BLE001
        call.fail(error)
    else:
        call.finish(result)


def _awaitable(value: Any) -> Any:
    """What to await for ``value``; None if it is not awaitable."""
    kind = type(value)
    # The usual kinds first.
    if kind is CoroutineType:
        return value
    if kind is list or kind is bytes:
        return None
    if hasattr(kind, "__await__"):
        return value
    if kind is GeneratorType and value.gi_code.co_flags & CO_ITERABLE_COROUTINE:
        return value
    if isinstance(value, concurrent.futures.Future):
        return asyncio.wrap_future(value)
    return None


def _is_async(body: Any) -> bool:
    kind = type(body)
    return hasattr(kind, "__aiter__") and not hasattr(kind, "__iter__")
