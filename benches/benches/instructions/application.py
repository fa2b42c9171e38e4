"""What the benchmark of the Python bridge calls."""

BODY = b"x" * 1024


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "1024")])
    return [BODY]
