"""The project of `test_django.py`, in one module: settings, URLs, views and the application.

Each view shows one thing that Django needs of a server.
"""

from __future__ import annotations

import hashlib
import io
import os
import socket
import sqlite3
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings

DATA = Path(os.environ.get("DJANGO_SITE_DATA", "."))


class Connection(sqlite3.Connection):
    """A connection that says when it is opened, and when it is closed or forgotten."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_open = True
        note("connections", f"open {os.getpid()}")

    def close(self) -> None:
        super().close()
        if self.is_open:
            self.is_open = False
            note("connections", f"closed {os.getpid()}")

    def __del__(self) -> None:
        self.close()


def note(name: str, line: str) -> None:
    """Append a line to a file that the test reads."""
    descriptor = os.open(DATA / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    try:
        os.write(descriptor, line.encode() + b"\n")
    finally:
        os.close(descriptor)


if not settings.configured:
    settings.configure(
        ALLOWED_HOSTS=["127.0.0.1", "library.example"],
        CSRF_TRUSTED_ORIGINS=["https://library.example"],
        DATABASES={
            "default": {
                "ENGINE": "django.db.backends.sqlite3",
                "NAME": DATA / "database.sqlite3",
                "CONN_MAX_AGE": int(os.environ.get("DJANGO_SITE_CONN_MAX_AGE", "0")),
                "OPTIONS": {
                    "factory": Connection,
                    "timeout": 30,
                    "transaction_mode": "IMMEDIATE",
                },
            },
        },
        DEBUG="DJANGO_SITE_DEBUG" in os.environ,
        INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.sessions"],
        MIDDLEWARE=[
            "django.middleware.http.ConditionalGetMiddleware",
            "django.contrib.sessions.middleware.SessionMiddleware",
            "django.middleware.common.CommonMiddleware",
            "django.middleware.csrf.CsrfViewMiddleware",
        ],
        ROOT_URLCONF=__name__,
        SECRET_KEY="the same in all workers",
        SECURE_PROXY_SSL_HEADER=("HTTP_X_FORWARDED_PROTO", "https"),
        USE_TZ=True,
    )

import django  # noqa: E402

django.setup()

from django.core.management import call_command  # noqa: E402
from django.core.signals import request_finished, request_started  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.http import (  # noqa: E402
    FileResponse,
    HttpRequest,
    HttpResponse,
    HttpResponseRedirect,
    JsonResponse,
    StreamingHttpResponse,
)
from django.middleware.csrf import get_token  # noqa: E402
from django.shortcuts import redirect  # noqa: E402
from django.urls import path, reverse  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402
from django.views.static import serve  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http.response import HttpResponseBase

together = threading.Barrier(4)


def ask(where: str, what: str) -> None:
    """Tell the test where the application is, and wait for its word."""
    host, port = where.split(":")
    with socket.create_connection((host, int(port)), timeout=60) as test:
        test.sendall(what.encode() + b"\n")
        test.makefile().readline()


def index(request: HttpRequest) -> HttpResponse:
    return HttpResponse("an index")


def visits(request: HttpRequest) -> HttpResponse:
    """A session in the database."""
    with transaction.atomic():
        request.session["visits"] = request.session.get("visits", 0) + 1
        request.session.save()
    return JsonResponse({"visits": request.session["visits"], "worker": os.getpid()})


def form(request: HttpRequest) -> HttpResponse:
    """A form with Django's token."""
    if request.method == "GET":
        return HttpResponse(get_token(request))
    files = {
        name: [(file.name, file.read().decode("latin-1")) for file in request.FILES.getlist(name)]
        for name in request.FILES
    }
    return JsonResponse({"form": dict(request.POST.lists()), "files": files, "args": request.GET})


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    """The digest of a body, or of the file in a form."""
    digest, length = hashlib.sha256(), 0
    if request.content_type == "multipart/form-data":
        blocks = request.FILES["file"].chunks()
    else:
        blocks = iter(lambda: request.read(1 << 16), b"")
    for block in blocks:
        digest.update(block)
        length += len(block)
    response = {"sha256": digest.hexdigest(), "length": length, "worker": os.getpid()}
    return JsonResponse(response)


@csrf_exempt
def body(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body, content_type="application/octet-stream")


def stream(request: HttpRequest) -> HttpResponseBase:
    """One chunk after the other: the next is made when the test has the one before."""
    where, count = request.GET["ask"], int(request.GET["chunks"])

    def chunks() -> Iterator[str]:
        try:
            for number in range(count):
                yield f"chunk {number}\n"
                ask(where, f"made {number}")
        finally:
            ask(where, "closed")

    return StreamingHttpResponse(chunks(), content_type="text/plain")


def large(request: HttpRequest) -> HttpResponseBase:
    mebibytes = int(request.GET["mebibytes"])
    return StreamingHttpResponse(bytes([number]) * (1 << 20) for number in range(mebibytes))


def breaks(request: HttpRequest) -> HttpResponseBase:
    def chunks() -> Iterator[str]:
        yield "half"
        raise LookupError("the other half is not here")

    return StreamingHttpResponse(chunks())


def file(request: HttpRequest, name: str) -> HttpResponseBase:
    return FileResponse((DATA / name).open("rb"), as_attachment="attachment" in request.GET)


def memory(request: HttpRequest) -> HttpResponseBase:
    content = io.BytesIO(bytes(range(256)) * 100)
    return FileResponse(content, as_attachment=True, filename="a ü.bin")


def cookies(request: HttpRequest) -> HttpResponse:
    response = JsonResponse(request.COOKIES)
    response.set_cookie("one", "1", httponly=True, samesite="Lax")
    response.set_cookie("two", 'with "quotes", and; more', path="/cookies")
    response.delete_cookie("old")
    return response


def move(request: HttpRequest) -> HttpResponse:
    return redirect("form")


def fails(request: HttpRequest) -> HttpResponse:
    raise LookupError("nothing is here")


def where(request: HttpRequest) -> HttpResponse:
    return JsonResponse(
        {
            "url": request.build_absolute_uri(),
            "host": request.get_host(),
            "port": request.get_port(),
            "secure": request.is_secure(),
            "path": request.path,
            "path_info": request.path_info,
            "itself": reverse("where"),
            "client": request.META["REMOTE_ADDR"],
        }
    )


def database(request: HttpRequest) -> HttpResponse:
    """Which connection this thread has."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    place = {"worker": os.getpid(), "thread": threading.get_ident()}
    return JsonResponse({**place, "connection": id(connection.connection)})


def meet(request: HttpRequest) -> HttpResponse:
    """Served when four requests are here, in four threads of one worker, each connected."""
    response = database(request)
    together.wait(60)
    return response


def finished(request: HttpRequest) -> HttpResponseBase:
    """One of the kinds of response, to see by whom it is finished."""
    kind = request.GET["kind"]
    if kind == "file":
        return FileResponse((DATA / "small").open("rb"))
    if kind == "stream":
        return StreamingHttpResponse(iter([b"a", b"b", b"c"]))
    if kind == "endless":
        return StreamingHttpResponse(iter(lambda: b"x" * (1 << 16), None))
    if kind == "fails":
        raise LookupError("nothing is here")
    if kind == "moves":
        return HttpResponseRedirect("/")
    return HttpResponse("a page")


def note_start(**kwargs: Any) -> None:
    note("requests", f"started {os.getpid()} {threading.get_ident()}")


def note_finish(**kwargs: Any) -> None:
    note("requests", f"finished {os.getpid()} {threading.get_ident()}")


request_started.connect(note_start)
request_finished.connect(note_finish)

urlpatterns = [
    path("", index),
    path("body/", body),
    path("breaks/", breaks),
    path("cookies/", cookies),
    path("database/", database),
    path("fails/", fails),
    path("file/<path:name>", file),
    path("finished/", finished),
    path("form/", form, name="form"),
    path("large/", large),
    path("meet/", meet),
    path("memory/", memory),
    path("move/", move),
    path("static/<path:path>", serve, {"document_root": DATA}),
    path("stream/", stream),
    path("upload/", upload),
    path("visits/", visits),
    path("where/", where, name="where"),
]

application = get_wsgi_application()


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
