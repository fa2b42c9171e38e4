"""Run with the globals of a dictionary: the driver of gevent, see `driver::Driver`."""

from __future__ import annotations

import contextlib
import sys
import time
from typing import Any

import gevent
from gevent import monkey, socket
from gevent.event import Event
from gevent.hub import Hub, set_hub
from gevent.pool import Group

if not monkey.is_module_patched("threading"):
    monkey.patch_all()

# The part of the remaining time in which greenlets may react to their end.
_REACTION = 0.1


class Driver:
    """The hub, and its greenlets."""

    cancelled = gevent.GreenletExit
    loop = None

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.is_stopping = False
        # This is Python's main thread. A hub that it needs later, in a signal handler for example,
        # must not have the loop that alone can wait for child processes.
        set_hub(Hub(default=False))

    def run(self) -> None:
        self.hub = Hub(default=True)
        set_hub(self.hub)
        self.workers = Group()
        self.calls = Group()
        # Those without a request. The last one is taken first: its connections are the warmest.
        self.idle: list[_Worker] = []
        self.stopped = Event()
        watcher = self.hub.loop.io(self.machine.fileno(), 1)
        watcher.start(self.machine.drain)
        while not self.stopped.is_set():
            try:
                self.stopped.wait()
            except BaseException:  # noqa: BLE001
                # A greenlet has raised SystemExit, which gevent passes on. It ends that one only.
                self.hub.print_exception(None, *sys.exc_info())
        watcher.stop()

    def thread_ident(self) -> int:
        return monkey.get_original("_thread", "get_ident")()  # type: ignore[no-any-return]

    def respond(self, exchange: Any) -> tuple[_Worker, int]:
        worker = self.idle.pop() if self.idle else _Worker(self)
        return worker, worker.take(exchange)

    def perform(self, call: Any) -> Any:
        return self.calls.spawn(self._perform, call)

    def cancel(self, task: Any) -> None:
        if isinstance(task, gevent.Greenlet):
            task.kill(block=False)
        else:
            # On the hub's own stack, not on that of the native code that calls this.
            self.hub.loop.run_callback(_kill, *task)

    def notify(self, waiter: Any) -> None:
        waiter.set()

    def room(self, room: Any) -> Any:
        # A worker waits for it, outside of native code.
        return room

    def set_current(self, loop: None) -> None:
        pass

    def blocking_databases(self) -> list[str]:
        """Those of Django of which the client waits in C: it holds up all greenlets."""
        if "django.db" not in sys.modules:
            return []
        blocking = []
        # Without settings there are none, and an invalid one shows at its first use.
        with contextlib.suppress(Exception):
            for connection in sys.modules["django.db"].connections.all():
                # PyMySQL, which takes the place of MySQLdb, waits in Python.
                is_mysql = connection.Database.__name__ == "MySQLdb"
                if connection.vendor == "sqlite" or is_mysql:
                    blocking.append(f"{connection.alias} ({connection.display_name})")
        return blocking

    def stop(self, seconds: float) -> None:
        if not self.is_stopping:
            self.is_stopping = True
            gevent.spawn(self._stop, time.monotonic() + seconds)

    def _perform(self, call: Any) -> None:
        try:
            result = call.call()
            # The rest must not run below native code, since it switches.
            call.finish(result() if callable(result) else result)
        except BaseException as error:  # noqa: BLE001
            call.fail(error)
        finally:
            _close_connections()

    def _stop(self, deadline: float) -> None:
        def names() -> str:
            workers = (worker.name for worker in list(self.workers) + list(self.calls))
            return ", ".join(sorted(set(workers))[:5])

        def wait(until: float) -> int:
            seconds = max(0.0, until - time.monotonic())
            gevent.joinall([*self.workers, *self.calls], timeout=seconds)
            return len(self.workers) + len(self.calls)

        try:
            now = time.monotonic()
            for worker in self.idle:
                worker.greenlet.kill(block=False)
            left = wait(deadline - min(1.0, _REACTION * (deadline - now)))
            if left:
                self.machine.tasks_left(left, names(), False)
                self.workers.kill(block=False)
                self.calls.kill(block=False)
                left = wait(max(deadline, time.monotonic() + _REACTION))
            if left:
                self.machine.tasks_left(left, names(), True)
        finally:
            self.stopped.set()


class _Worker:
    """A greenlet that responds to one request after the other, as a thread of a pool does."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver
        self.serial = 0
        self.exchange: Any = None
        self.greenlet = driver.workers.spawn(self.run)
        self.greenlet.name = "greenlet of a request"

    def take(self, exchange: Any) -> int:
        """Respond to a request; return its number among those of this greenlet."""
        self.serial += 1
        self.exchange = exchange
        if self.serial > 1:
            self.driver.hub.loop.run_callback(self.greenlet.switch)
        return self.serial

    def run(self) -> None:
        driver = self.driver
        try:
            while True:
                was_killed = self.respond(self.exchange)
                self.exchange.release()
                self.exchange = None
                if was_killed or driver.is_stopping:
                    return
                driver.idle.append(self)
                driver.hub.switch()
        except gevent.GreenletExit:
            pass
        finally:
            # What was interrupted may have left a connection in any state.
            _close_connections()

    def respond(self, exchange: Any) -> bool:
        """Call the application, and send its response. Return whether this was killed."""
        body: Any = ()
        error = None
        end = None
        try:
            application, environ, native_start_response, end = exchange.call()
            if "psycopg2.extensions" in sys.modules:
                _switch_in_psycopg2()
            body = application(environ, _StartResponse(native_start_response))
            has_responded = end is not None and self.wait_for(end)
            if not has_responded:
                self.send(exchange, native_start_response, body)
            exchange.finish()
        except BaseException as raised:  # noqa: BLE001
            error = raised
            # By such an exception a library ends a request whose socket it has used.
            is_end = isinstance(raised, (StopIteration, ConnectionError))
            if end is not None and self.wait_for(end) and is_end:
                exchange.finish()
                error = None
        was_killed = isinstance(error, gevent.GreenletExit)
        try:
            close = getattr(body, "close", None)
            if close is not None:
                close()
        except gevent.GreenletExit:
            was_killed = True
        except BaseException as raised:  # noqa: BLE001
            exchange.close_failed(raised)
        if error is not None:
            exchange.fail(error)
        # Its traceback has this frame, and this frame has it.
        error = None
        return was_killed

    def send(self, exchange: Any, native_start_response: Any, body: Any) -> None:
        if native_start_response.send_file(body) or exchange.send_whole(body):
            return
        _refuse_asynchronous(body)
        for piece in exchange.iterate(body):
            if not exchange.send(piece):
                _wait_for_room(exchange)

    def wait_for(self, native: Any) -> bool:
        """Call what waits for the server on a native thread."""
        return self.driver.hub.threadpool.apply(native)  # type: ignore[no-any-return]


class _StartResponse:
    """The `start_response` of a greenlet, and its own owner: writing lets other greenlets run.

    That is here because a switch inside of native code would leave its thread with the state of
    another greenlet.
    """

    __slots__ = ("_native",)

    def __init__(self, native: Any) -> None:
        self._native = native

    def __call__(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        return _Write(self._native(status, headers, exc_info))

    def write(self, data: bytes, force: bool | None = None) -> None:
        _Write(self._native.write)(data, force)

    @property
    def __self__(self) -> Any:
        return self

    @property
    def start_response(self) -> Any:
        return self

    @property
    def __class__(self) -> Any:
        # For `isinstance`.
        return type(self._native)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._native, name)


class _Write:
    __slots__ = ("_native",)

    def __init__(self, native: Any) -> None:
        self._native = native

    def __call__(self, data: bytes, force: bool | None = None) -> None:
        arguments = (data,) if force is None else (data, force)
        if (room := self._native(*arguments)) is not None:
            _wait_for_room(room)


def _refuse_asynchronous(body: Any) -> None:
    kind = type(body)
    is_iterable = hasattr(kind, "__iter__") and not hasattr(kind, "__await__")
    if is_iterable or not (hasattr(kind, "__aiter__") or hasattr(kind, "__await__")):
        return
    raise TypeError(
        f"the application returned {kind.__name__}, which is asynchronous: greenlets run blocking"
        " applications; serve it without --greenlet"
    )


def _wait_for_room(exchange: Any) -> None:
    waiter = Event()
    if exchange.wait_for_room(waiter):
        waiter.wait()


def _kill(worker: _Worker, serial: int) -> None:
    # It may have gone on to another request in the meantime.
    if worker.serial == serial and worker.exchange is not None:
        worker.greenlet.throw(gevent.GreenletExit())


def _switch_in_psycopg2() -> None:
    """Let psycopg2, which waits in C, wait by the hub: psycopg 3 does so by itself."""
    extensions = sys.modules["psycopg2.extensions"]
    if extensions.get_wait_callback() is None:
        extensions.set_wait_callback(_wait_for_psycopg2)


def _wait_for_psycopg2(connection: Any) -> None:
    extensions = sys.modules["psycopg2.extensions"]
    while (state := connection.poll()) != extensions.POLL_OK:
        if state == extensions.POLL_READ:
            socket.wait_read(connection.fileno())
        elif state == extensions.POLL_WRITE:
            socket.wait_write(connection.fileno())
        else:
            raise sys.modules["psycopg2"].OperationalError(f"psycopg2 polls {state!r}")


def _close_connections() -> None:
    """Close the connections of this greenlet to Django's databases."""
    django = sys.modules.get("django.db")
    if django is None:
        return
    # Without settings there are none.
    with contextlib.suppress(Exception):
        django.connections.close_all()
