"""The addresses of the site."""

from django.contrib import admin
from django.urls import path

from library.views import books

urlpatterns = [
    path("", books, name="books"),
    path("admin/", admin.site.urls),
]
