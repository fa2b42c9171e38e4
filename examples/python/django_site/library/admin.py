"""What the admin shows of the library."""

from django.contrib import admin

from library.models import Book


@admin.register(Book)
class BookAdmin(admin.ModelAdmin):
    """Books, to find and to edit."""

    list_display = ("title", "author", "year")
    search_fields = ("title", "author")
