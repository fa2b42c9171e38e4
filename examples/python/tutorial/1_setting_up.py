"""Setting up: a server for a callable.

Run it with ``python 1_setting_up.py``, and on several processes with
``python 1_setting_up.py --workers 4``.
"""

from tower_wsgi import wsgi


def callable(environ, start_response):
    data = b"Hello World!\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(data)))])
    return [data]


if __name__ == "__main__":
    wsgi.WSGIServer(callable).start()
