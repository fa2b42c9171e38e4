"""Some work, a wait as for a database, and some more work."""

from time import sleep, thread_time

BODY = b"x" * 1024
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]


def work(seconds):
    """Of the processor's time, however many threads share it."""
    end = thread_time() + seconds
    while thread_time() < end:
        pass


def application(environ, start_response):
    work(0.0002)
    sleep(0.002)
    work(0.0002)
    start_response("200 OK", HEADERS)
    return [BODY]
