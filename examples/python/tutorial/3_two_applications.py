"""Serving more than one application: two callables on two addresses, under one supervisor.

Run it with ``python 3_two_applications.py``; the first listens on port 8000, the second on 8070.
The options of the command line apply to both, except ``--bind``, which applies to the first.
"""

from tower_wsgi import arbiter, wsgi


def callable1(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"This is the first application.\n"]


def callable2(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"This is the second application.\n"]


if __name__ == "__main__":
    wsgi.WSGIServer(callable1, name="wsgi1")
    wsgi.WSGIServer(callable2, name="wsgi2", bind=8070)
    arbiter().start()
