"""Reading and logging."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pep3333.applications.registry import TEXT, application, event


def _short(value: Any) -> Any:
    """Long ones by their length and hash, so that the response stays short."""
    if isinstance(value, list):
        return [_short(item) for item in value] if len(value) < 50 else _short(b"\0".join(value))
    assert type(value) is bytes, type(value)
    return (
        value.decode("latin-1")
        if len(value) < 100
        else [len(value), hashlib.sha256(value).hexdigest()]
    )


def results(stream: Any, calls: list[list[Any]]) -> list[Any]:
    """What the calls give; the test does them on its own copy, too."""
    told: list[Any] = []
    for name, *arguments in calls:
        if name == "list":
            told.append(_short(list(stream)))
        elif name == "next":
            told.append(_short(next(iter(stream))))
        else:
            told.append(_short(getattr(stream, name)(*arguments)))
    return told


@application
def read(environ: Any, start_response: Any) -> list[bytes]:
    event(environ, "called")
    calls = json.loads(environ["HTTP_X_CALLS"])
    told = {
        "results": results(environ["wsgi.input"], calls),
        "length": environ.get("CONTENT_LENGTH"),
        "coding": environ.get("HTTP_TRANSFER_ENCODING"),
    }
    start_response("200 OK", TEXT)
    return [json.dumps(told).encode()]


@application
def unread(environ: Any, start_response: Any) -> list[bytes]:
    start_response("200 OK", TEXT)
    return [b"not read"]


@application
def log(environ: Any, start_response: Any) -> list[bytes]:
    errors, key = environ["wsgi.errors"], environ["HTTP_X_KEY"]
    errors.write(f"one {key}\n")
    errors.writelines([f"two {key}\n", f"three {key}\n"])
    errors.flush()
    # Not every stream can write these; no stream may raise.
    errors.write(f"snowman \u2603 lone \ud800 {key}\n")
    errors.flush()
    start_response("200 OK", TEXT)
    return [b"logged"]
