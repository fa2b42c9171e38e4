"""A server for the tests of an application, in the process of the tests."""

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

    It is the server of ``tower-wsgi`` without its processes and signals, so that an application
    and its test share what is in memory. ``settings`` are those of `tower_wsgi.wsgi.WSGIServer`,
    with two differences: without ``bind`` it is a free port of ``127.0.0.1``, and there are no
    ``workers``. Nothing is logged; tracebacks go to ``wsgi.errors``.

    It serves from its construction until `stop`, or until the program ends.

    Raises `OSError` when it cannot start, because an address is taken for example; `TypeError` for
    a setting that is unknown, and for an application that cannot be called; `ValueError` for a
    wrong value.
    """

    def __init__(self, application: WSGIApplication, **settings: object) -> None:
        if not callable(application):
            raise TypeError(f"{application!r} is no WSGI application: it cannot be called")
        if "workers" in settings:
            raise TypeError("the setting workers: a LiveServer serves in this process, without any")
        settings = {"bind": "127.0.0.1:0", **settings, "workers": 0}
        server = _native.Server("live", lambda: native_application(application), settings)
        self._native = _native.LiveServer(server)
        # A thread that still answers must not meet an interpreter that has ended.
        atexit.register(self._native.stop)

    @property
    def urls(self) -> list[str]:
        """All addresses; that of a Unix socket is ``unix:`` and its path."""
        return self._native.addresses

    @property
    def url(self) -> str:
        """The first address, as in ``http://127.0.0.1:41234``."""
        return self.urls[0]

    def stop(self) -> int:
        """Stop, and wait until what runs is done.

        What is not done after ``graceful_timeout`` seconds is cut; gives the number of these
        requests.
        """
        cut = self._native.stop()
        # An exception of a signal handler may have ended the wait for it.
        atexit.unregister(self._native.stop)
        return cut

    def __enter__(self) -> LiveServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()
