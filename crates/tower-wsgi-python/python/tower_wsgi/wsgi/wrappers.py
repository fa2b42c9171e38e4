"""The names of pulsar's module ``pulsar.apps.wsgi.wrappers``."""

from tower_wsgi.wsgi.request import WsgiRequest, wsgi_cached
from tower_wsgi.wsgi.response import WsgiResponse

__all__ = ["WsgiRequest", "WsgiResponse", "wsgi_cached"]
