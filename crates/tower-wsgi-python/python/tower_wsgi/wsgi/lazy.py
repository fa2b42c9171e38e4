"""`LazyWsgi`: an application that is built at its first request."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from typing_extensions import Self


class LazyWsgi:
    """Builds the application in each process, at the first request.

    A subclass defines `setup`::

        class Site(wsgi.LazyWsgi):
            def setup(self, environ=None):
                from mysite import application  # a slow import
                return application

    Concurrent first requests wait for one call of `setup`. If it raises an exception, that request
    fails, and the next one calls `setup` again. A pickled copy builds its own application.
    """

    _lock: threading.RLock
    _built: tuple[WSGIApplication, WSGIApplication] | None

    # Not in `__init__`, which a subclass may override without calling it, and which unpickling does
    # not call.
    def __new__(cls, *_args: object, **_kwargs: object) -> Self:
        """Create an instance that has not built its application."""
        self = super().__new__(cls)
        # Reentrant, so that a `setup` that calls itself fails instead of deadlocking.
        self._lock = threading.RLock()
        self._built = None
        return self

    def setup(self, environ: WSGIEnvironment | None = None) -> WSGIApplication:
        """Build the application; ``environ`` is that of the first request."""
        raise NotImplementedError(f"{type(self).__name__} must define a method `setup(environ)`")

    def handler(self, environ: WSGIEnvironment | None = None) -> WSGIApplication:
        """Return the application of this process; the first call calls `setup`."""
        return self._build(environ)[0]

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Call the application; the first request waits for `setup`."""
        built = self._built or self._build(environ)
        return built[1](environ, start_response)

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        del state["_lock"], state["_built"]
        return state

    def _build(self, environ: WSGIEnvironment | None) -> tuple[WSGIApplication, WSGIApplication]:
        with self._lock:
            if self._built is None:
                # Early applications of pulsar override `handler` in place of `setup`.
                is_early = type(self).handler is not LazyWsgi.handler
                handler = self.handler(environ) if is_early else self.setup(environ)
                self._built = handler, native_application(handler)
            return self._built
