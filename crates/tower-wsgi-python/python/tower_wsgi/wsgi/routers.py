"""The names of pulsar's module ``pulsar.apps.wsgi.routers``."""

from tower_wsgi.wsgi.file_response import file_response
from tower_wsgi.wsgi.media import FileRouter, MediaMixin, MediaRouter
from tower_wsgi.wsgi.route import RouterParam, route
from tower_wsgi.wsgi.router import Router

__all__ = [
    "FileRouter",
    "MediaMixin",
    "MediaRouter",
    "Router",
    "RouterParam",
    "file_response",
    "route",
]
