"""Serve WSGI applications from a script; middleware and responses for WSGI applications.

::

    from tower_wsgi import wsgi

    def hello(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"Hello World!"]

    if __name__ == "__main__":
        wsgi.WSGIServer(hello).start()

The names and their meaning are those of pulsar's ``pulsar.apps.wsgi``: to port a script, change its
import. One thing is different: the server always waits for the body of a request, so that
`wait_for_body_middleware` has no effect, and calls the application on a thread of its pool, unless
that is a coroutine function.

Everything except `WSGIServer` and `arbiter` works with any WSGI server, if it is not asynchronous.
"""

from tower_wsgi.wsgi.authorization import (
    BasicAuth,
    DigestAuth,
    authorization_middleware,
    parse_authorization_header,
)
from tower_wsgi.wsgi.debug import dump_environ, handle_wsgi_error, render_error_debug
from tower_wsgi.wsgi.environ import test_wsgi_environ
from tower_wsgi.wsgi.errors import (
    BadRequest,
    Http401,
    Http404,
    HttpException,
    HttpGone,
    HttpRedirect,
    MethodNotAllowed,
    PermissionDenied,
    UnprocessableEntity,
    Unsupported,
)
from tower_wsgi.wsgi.file_response import file_response
from tower_wsgi.wsgi.forms import parse_form_data
from tower_wsgi.wsgi.handler import WsgiHandler
from tower_wsgi.wsgi.lazy import LazyWsgi
from tower_wsgi.wsgi.media import FileRouter, MediaMixin, MediaRouter
from tower_wsgi.wsgi.middleware import (
    clean_path_middleware,
    middleware_in_executor,
    wait_for_body_middleware,
)
from tower_wsgi.wsgi.request import (
    WsgiRequest,
    set_wsgi_request_class,
    wsgi_cached,
    wsgi_request,
)
from tower_wsgi.wsgi.response import HOP_HEADERS, WsgiResponse
from tower_wsgi.wsgi.response_middleware import AccessControl, GZipMiddleware
from tower_wsgi.wsgi.route import RouterParam, route
from tower_wsgi.wsgi.router import Router
from tower_wsgi.wsgi.rule import Route
from tower_wsgi.wsgi.server import Arbiter, HttpServerResponse, WSGIServer, arbiter

__all__ = [
    "HOP_HEADERS",
    "AccessControl",
    "Arbiter",
    "BadRequest",
    "BasicAuth",
    "DigestAuth",
    "FileRouter",
    "GZipMiddleware",
    "Http401",
    "Http404",
    "HttpException",
    "HttpGone",
    "HttpRedirect",
    "HttpServerResponse",
    "LazyWsgi",
    "MediaMixin",
    "MediaRouter",
    "MethodNotAllowed",
    "PermissionDenied",
    "Route",
    "Router",
    "RouterParam",
    "UnprocessableEntity",
    "Unsupported",
    "WSGIServer",
    "WsgiHandler",
    "WsgiRequest",
    "WsgiResponse",
    "arbiter",
    "authorization_middleware",
    "clean_path_middleware",
    "dump_environ",
    "file_response",
    "handle_wsgi_error",
    "middleware_in_executor",
    "parse_authorization_header",
    "parse_form_data",
    "render_error_debug",
    "route",
    "set_wsgi_request_class",
    "test_wsgi_environ",
    "wait_for_body_middleware",
    "wsgi_cached",
    "wsgi_request",
]
