"""This server in the place of Django's, as its live server threads use it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from django.core.signals import request_finished
from django.db import connections

from tower_wsgi.testing import LiveServer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from django.db.backends.base.base import BaseDatabaseWrapper


class ThreadedWSGIServer:
    """Stands for the class of this name: it listens from its construction."""

    thread_workers = 5

    def __init__(
        self,
        address: tuple[str, int],
        handler_class: type,
        allow_reuse_address: bool = False,
        connections_override: Mapping[str, BaseDatabaseWrapper] | None = None,
    ) -> None:
        host, port = address
        self._connections = dict(connections_override or {})
        self._application: WSGIApplication
        self._stopped = threading.Event()
        self._server = LiveServer(
            self._call, bind=f"{host}:{port}", thread_workers=self.thread_workers
        )
        bound = urlsplit(self._server.url)
        self.server_address = (bound.hostname, bound.port)

    def set_app(self, application: WSGIApplication) -> None:
        self._application = application

    def serve_forever(self) -> None:
        request_finished.connect(self._finished)
        self._stopped.wait()

    def shutdown(self) -> None:
        self._server.stop()
        request_finished.disconnect(self._finished)
        self._stopped.set()

    def server_close(self) -> None:
        """Nothing is left to close."""

    def _call(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        # Each thread has its own database connections, but for those in memory.
        for alias, connection in self._connections.items():
            connections[alias] = connection
        return self._application(environ, start_response)

    def _finished(self, **_: Any) -> None:
        self._close_connections()

    def _close_connections(self) -> None:
        # Django's tests override it. Theirs calls it when a thread has served its connection.
        connections.close_all()


class WSGIServer(ThreadedWSGIServer):
    """Stands for the class of this name, which serves on one thread."""

    thread_workers = 1
