"""The library in the admin."""

from django.contrib import admin

from library.models import Book


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    """Books in the admin."""

    list_display = ("title", "author", "year")
    search_fields = ("title", "author")
