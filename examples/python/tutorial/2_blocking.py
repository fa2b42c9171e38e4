"""Blocking middleware: a callable that waits for the request body and for slow work.

Run it with ``python 2_blocking.py -w 4 --thread-workers 10``: four processes with ten threads
each, which handle forty requests at once:

    curl --data 'some text' http://127.0.0.1:8000/
"""

import time

from tower_wsgi import wsgi


def callable(environ, start_response):
    text = environ["wsgi.input"].read()
    time.sleep(0.2)
    data = text.upper()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]


wsgi_handler = wsgi.WsgiHandler(
    [wsgi.wait_for_body_middleware, wsgi.middleware_in_executor(callable)]
)

if __name__ == "__main__":
    wsgi.WSGIServer(wsgi_handler()).start()
