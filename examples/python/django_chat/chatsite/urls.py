"""The addresses of the site."""

from django.urls import path

from chat.views import message, page

urlpatterns = [
    path("", page, name="page"),
    path("message", message, name="message"),
]
