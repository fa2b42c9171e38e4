"""`Wsgi`: the WSGI application of a Django project, set up at its first request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.servers.basehttp import get_internal_wsgi_application
from django.db import connections

from tower_wsgi.wsgi.handler import WsgiHandler
from tower_wsgi.wsgi.lazy import LazyWsgi
from tower_wsgi.wsgi.middleware import wait_for_body_middleware

if TYPE_CHECKING:
    from types import SimpleNamespace

    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment


class Wsgi(LazyWsgi):
    """The application of the Django project: ``settings.WSGI_APPLICATION``, or Django's default.

    ``cfg`` are the settings of the server, as in ``environ["pulsar.cfg"]``; `setup` takes them from
    there if they were not set before. A subclass may wrap what `setup` returns::

        class Site(pulse.Wsgi):
            def setup(self, environ=None):
                return wsgi.WsgiHandler([log_middleware, super().setup(environ)])
    """

    cfg: SimpleNamespace | None = None

    def setup(self, environ: WSGIEnvironment | None = None) -> WSGIApplication:
        """Build the application, for greenlets if ``cfg.greenlet`` is not 0."""
        if self.cfg is None and environ is not None:
            self.cfg = environ.get("pulsar.cfg")
        application: WSGIApplication = get_internal_wsgi_application()
        if getattr(self.cfg, "greenlet", 0):
            self.green_safe_connections()
        return WsgiHandler([wait_for_body_middleware, application])

    def green_safe_connections(self) -> None:
        """Give each greenlet database connections of its own, as each thread has.

        If gevent's monkey patching came before Django was imported, they are already. Connections
        that were opened before are closed.
        """
        from gevent.local import local

        handler: Any = connections
        if not isinstance(getattr(handler._connections, "_storage", None), local):
            handler.close_all()
            handler._connections = local()
