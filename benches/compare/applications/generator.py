"""A response of 16 chunks, 64 KB each."""

CHUNK = b"x" * 65536
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(16 * len(CHUNK)))]


def application(environ, start_response):
    start_response("200 OK", HEADERS)
    for _ in range(16):
        yield CHUNK
