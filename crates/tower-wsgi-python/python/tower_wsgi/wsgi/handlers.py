"""The names of pulsar's module ``pulsar.apps.wsgi.handlers``."""

from tower_wsgi.wsgi.handler import WsgiHandler
from tower_wsgi.wsgi.lazy import LazyWsgi

__all__ = ["LazyWsgi", "WsgiHandler"]
