"""The application of `test_forwarded.py`: what Flask, Django and PEP 3333 say of the client."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from wsgiref.util import request_uri

import django
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path
from flask import Flask, jsonify, request, url_for

if TYPE_CHECKING:
    from collections.abc import Iterable

    from _typeshed.wsgi import StartResponse, WSGIEnvironment
    from flask import Response

app = Flask(__name__)


@app.get("/flask")
def flask_view() -> Response:
    return jsonify(
        client=request.remote_addr,
        scheme=request.scheme,
        host=request.host,
        prefix=request.root_path,
        url=url_for("flask_view", _external=True),
    )


def django_view(request: HttpRequest) -> JsonResponse:
    return JsonResponse(
        {
            "client": request.META["REMOTE_ADDR"],
            "scheme": request.scheme,
            "host": request.get_host(),
            "prefix": request.META["SCRIPT_NAME"],
            "url": request.build_absolute_uri("/django"),
        }
    )


urlpatterns = [path("django", django_view)]
settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__)
django.setup()
django_app = get_wsgi_application()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ["PATH_INFO"] == "/flask":
        return app(environ, start_response)
    if environ["PATH_INFO"] == "/django":
        return django_app(environ, start_response)
    names = ("REMOTE_ADDR", "REMOTE_PORT", "HTTP_HOST", "SCRIPT_NAME", "HTTPS", "SERVER_NAME")
    seen = {name: environ.get(name) for name in names}
    seen["url_scheme"] = environ["wsgi.url_scheme"]
    seen["uri"] = request_uri(environ)
    seen["fields"] = sorted(name for name in environ if "FORWARDED" in name)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(seen).encode()]
