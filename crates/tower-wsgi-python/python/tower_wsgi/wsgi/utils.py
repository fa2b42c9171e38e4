"""The names of pulsar's module ``pulsar.apps.wsgi.utils``."""

from tower_wsgi.wsgi.debug import dump_environ, handle_wsgi_error, render_error_debug
from tower_wsgi.wsgi.request import set_wsgi_request_class, wsgi_request
from tower_wsgi.wsgi.response import HOP_HEADERS

__all__ = [
    "HOP_HEADERS",
    "dump_environ",
    "handle_wsgi_error",
    "render_error_debug",
    "set_wsgi_request_class",
    "wsgi_request",
]
