"""The pages of the library."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render

from library.models import Book


def books(request: HttpRequest) -> HttpResponse:
    """List the books."""
    return render(request, "library/books.html", {"books": Book.objects.all()[:100]})
