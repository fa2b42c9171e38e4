"""Stands for Werkzeug's ``tests/live_apps/run.py``: this server serves the same applications."""

from __future__ import annotations

import json
import sys
from importlib import import_module
from typing import Any

from werkzeug.serving import make_ssl_devcert
from werkzeug.wrappers import Request, Response

from tower_wsgi import wsgi

NAME, SETTINGS = sys.argv[1:]


@Request.application
def application(request: Request) -> Response:
    if request.path == "/ensure":
        return Response()
    return Response.from_app(import_module(f"{NAME}_app").app, request.environ)


def main() -> None:
    settings: dict[str, Any] = {"hostname": "127.0.0.1", **json.loads(SETTINGS)}
    hostname = settings.pop("hostname")
    if hostname.startswith("unix://"):
        bind = f"unix:{hostname.removeprefix('unix://')}"
    else:
        bind = f"{hostname}:{settings.pop('port')}"
    threads = 5 if settings.pop("threaded", False) else 1
    options = ["--reload"] if settings.pop("use_reloader", False) else []
    # Werkzeug's server makes a certificate of its own for "adhoc"; ours is given the same one.
    pair = settings.pop("ssl_context", None)
    if pair == "adhoc":
        pair = make_ssl_devcert("adhoc")
    tls = dict(zip(("tls_certificate", "tls_key"), pair, strict=True)) if pair else {}
    if settings:
        sys.exit(f"this server has no setting for {settings}")
    server = wsgi.WSGIServer(
        application,
        argv=[sys.argv[0], *options],
        bind=bind,
        workers=1,
        thread_workers=threads,
        **tls,
    )
    server.start()


if __name__ == "__main__":
    main()
