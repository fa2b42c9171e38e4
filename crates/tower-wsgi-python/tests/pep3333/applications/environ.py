"""The environ that an application receives."""

from __future__ import annotations

import json
import os
import threading
from typing import Any

from pep3333.applications.registry import TEXT, application

_barrier = threading.Barrier(3, timeout=60)


@application
def hello(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"hello"]


@application
def environ(environ: Any, start_response: Any) -> list[bytes]:
    """All variables: name, type and value, and what they are in."""
    told = {
        "dict": [type(environ).__module__, type(environ).__name__],
        "names": sorted({type(name).__name__ for name in environ}),
        "types": {name: type(value).__name__ for name, value in environ.items()},
        "values": {
            name: value for name, value in environ.items() if isinstance(value, (str, bool, tuple))
        },
        "process": os.getpid(),
    }
    start_response("200 OK", TEXT)
    return [json.dumps(told).encode()]


@application
def change(environ: Any, start_response: Any) -> list[bytes]:
    """Modifies the environ in any way it desires."""
    before = len(environ)
    environ["wsgi.version"] = environ["REQUEST_METHOD"] = environ["mine"] = None
    environ.clear()
    start_response("200 OK", TEXT)
    return [str(before).encode()]


@application
def at_once(environ: Any, start_response: Any) -> list[bytes]:
    """Responds when three requests have called it."""
    _barrier.wait()
    start_response("200 OK", TEXT)
    return [b"together"]


@application
def extensions(environ: Any, start_response: Any) -> list[bytes]:
    """What the server adds of its own."""
    connection, settings = environ["pulsar.connection"], environ["pulsar.cfg"]
    told = {
        "address": connection.address,
        "server_address": connection.server_address,
        "thread_workers": settings.thread_workers,
    }
    start_response("200 OK", TEXT)
    return [json.dumps(told).encode()]


@application
def os_environ(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [os.environ[environ["HTTP_X_NAME"]].encode()]
