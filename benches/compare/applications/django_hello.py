"""Django's first page, in one file and without middleware."""

from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="of a benchmark")


def hello(request):
    return HttpResponse("Hello, World!")


urlpatterns = [path("", hello)]

application = get_wsgi_application()
