"""The project of `test_greenlet.py`: its views wait in PostgreSQL for locks of the test."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import time
from typing import TYPE_CHECKING, ClassVar

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "greenlet_settings")

import django

django.setup()

from django.core.wsgi import get_wsgi_application  # noqa: E402
from django.db import connection, models, transaction  # noqa: E402
from django.http import HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402
from django.views.decorators.csrf import csrf_exempt  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

    from django.http import HttpRequest
    from django.http.response import HttpResponseBase

here = threading.local()


class Note(models.Model):
    text = models.TextField()
    objects: ClassVar[models.Manager[Note]]

    class Meta:
        app_label = "greenlet_site"
        db_table = "notes"


def wait_for_lock(number: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock_shared(%s)", [number])
        cursor.execute("SELECT pg_advisory_unlock_shared(%s)", [number])


def hold(request: HttpRequest) -> HttpResponse:
    """Respond when the test releases a lock."""
    here.path = request.get_full_path()
    wait_for_lock(request.GET["lock"])
    assert here.path == request.get_full_path()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (backend,) = cursor.fetchone()
    return JsonResponse(
        {
            "backend": backend,
            "driver": connection.Database.__name__,
            "multithread": request.META["wsgi.multithread"],
            "worker": os.getpid(),
        }
    )


def sleep(request: HttpRequest) -> HttpResponse:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_sleep(%s)", [request.GET["seconds"]])
    return HttpResponse("awake")


def note(request: HttpRequest) -> HttpResponse:
    """Write a note in a transaction, which waits for a lock, and fails if it is to."""
    with transaction.atomic():
        Note.objects.create(text=request.GET["text"])
        if "lock" in request.GET:
            wait_for_lock(request.GET["lock"])
        if "fails" in request.GET:
            raise LookupError("the note is not wanted")
    return notes(request)


def notes(request: HttpRequest) -> HttpResponse:
    return JsonResponse(sorted(Note.objects.values_list("text", flat=True)), safe=False)


def stream(request: HttpRequest) -> HttpResponseBase:
    """Give numbers until the client leaves."""

    def numbers() -> Iterator[str]:
        connection.ensure_connection()
        try:
            for number in range(1_000_000):
                yield f"{number}\n"
                time.sleep(0.01)
        except BaseException as error:
            print(f"interrupted by {type(error).__name__}", file=sys.stderr)
            raise
        finally:
            print("the stream is closed", file=sys.stderr)

    return StreamingHttpResponse(numbers(), content_type="text/plain")


@csrf_exempt
def upload(request: HttpRequest) -> HttpResponse:
    digest = hashlib.sha256()
    while block := request.read(1 << 16):
        digest.update(block)
        time.sleep(0)
    return HttpResponse(digest.hexdigest())


def fails(request: HttpRequest) -> HttpResponse:
    raise LookupError("nothing is here")


def page(request: HttpRequest) -> HttpResponse:
    time.sleep(0.001)
    return HttpResponse("a page")


urlpatterns = [
    path("", page),
    path("fails/", fails),
    path("hold/", hold),
    path("note/", note),
    path("notes/", notes),
    path("sleep/", sleep),
    path("stream/", stream),
    path("upload/", upload),
]

application = get_wsgi_application()
