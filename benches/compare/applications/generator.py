"""A response of 16 chunks, 64 KB each. At `/waits` it waits before the second one."""

import time

CHUNK = b"x" * 65536
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(16 * len(CHUNK)))]


def application(environ, start_response):
    start_response("200 OK", HEADERS)
    yield CHUNK
    if environ["PATH_INFO"] == "/waits":
        time.sleep(0.5)
    for _ in range(15):
        yield CHUNK
