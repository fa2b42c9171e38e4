"""A server for tests of an application, in the process of the tests."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING

from tower_wsgi import _native
from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from types import TracebackType

    from _typeshed.wsgi import WSGIApplication

__all__ = ["LiveServer"]


class LiveServer:
    """Serves a WSGI application on threads of this process.

    ::

        with LiveServer(application) as server:
            assert requests.get(server.url).ok

    It is the server of ``tower-wsgi`` without worker processes and signal handlers, so that an
    application and its tests share their memory. ``settings`` are those of
    `tower_wsgi.wsgi.WSGIServer`, with two differences: ``bind`` is a free port of ``127.0.0.1`` by
    default, and there are no ``workers``. Nothing is logged; tracebacks go to ``wsgi.errors``.

    It serves from its creation until `stop`, or until the program ends.

    Raises `OSError` if it cannot start, for example because an address is in use; `TypeError` for
    an unknown setting, and for an application that is not callable; `ValueError` for an invalid
    value.
    """

    def __init__(self, application: WSGIApplication, **settings: object) -> None:
        if not callable(application):
            raise TypeError(f"{application!r} is not a WSGI application: it is not callable")
        if "workers" in settings:
            raise TypeError("the setting workers: a LiveServer has no workers")
        settings = {"bind": "127.0.0.1:0", **settings, "workers": 0}
        server = _native.Server("live", lambda: native_application(application), settings)
        self._native = _native.LiveServer(server)
        # A running thread must not outlive the interpreter.
        atexit.register(self._native.stop)

    @property
    def urls(self) -> list[str]:
        """The URLs of all addresses; that of a Unix socket is ``unix:`` and its path."""
        return self._native.addresses

    @property
    def url(self) -> str:
        """The URL of the first address, as in ``http://127.0.0.1:41234``."""
        return self.urls[0]

    def stop(self) -> int:
        """Stop, and wait for running requests.

        Requests that are still running after ``graceful_timeout`` seconds are aborted; returns
        their number.
        """
        aborted = self._native.stop()
        # Only now: an exception of a signal handler may have interrupted the wait.
        atexit.unregister(self._native.stop)
        return aborted

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
