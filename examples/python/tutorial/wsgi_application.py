"""Writing a WSGI application: middleware that pass a request on, and responses that are edited.

Run it with ``python wsgi_application.py``, or with ``tower-wsgi wsgi_application:application``:

    curl http://127.0.0.1:8000/
    curl --user guest:secret http://127.0.0.1:8000/private
    curl --compressed http://127.0.0.1:8000/numbers
"""

from tower_wsgi import wsgi


def hello(environ, start_response):
    """A WSGI application, if the request is for it; ``None`` passes the request on."""
    if environ["PATH_INFO"] != "/":
        return None
    data = b"Hello World!\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]


def private(environ, start_response):
    if environ["PATH_INFO"] != "/private":
        return None
    user = environ.get("http.authorization")
    if user is None or not user.authenticated(environ, "guest", "secret"):
        raise wsgi.Http401('Basic realm="tutorial"')
    # A middleware may also return a response, which the server sends.
    response = wsgi.WsgiResponse(200, f"Hello {user.username}!\n")
    response.set_cookie("visited", "yes", httponly=True)
    return response


class Numbers:
    """A middleware is any callable."""

    def __init__(self, path, count):
        self.path = path
        self.count = count

    def __call__(self, environ, start_response):
        if environ["PATH_INFO"] == self.path:
            start_response("200 OK", [("Content-Type", "text/plain")])
            return (f"{number}\n".encode() for number in range(self.count))
        return None


class Site(wsgi.LazyWsgi):
    """Its ``setup`` is called once in each worker, with the first request."""

    def setup(self, environ=None):
        return wsgi.WsgiHandler(
            [
                wsgi.wait_for_body_middleware,
                wsgi.clean_path_middleware,
                wsgi.authorization_middleware,
                hello,
                private,
                Numbers("/numbers", 1000),
            ],
            [wsgi.AccessControl(), wsgi.GZipMiddleware()],
        )


application = Site()

if __name__ == "__main__":
    wsgi.WSGIServer(application).start()
