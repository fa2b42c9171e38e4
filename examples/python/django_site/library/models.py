"""The models of the library."""

from django.db import models


class Book(models.Model):
    """A book."""

    title = models.CharField(max_length=200)
    author = models.CharField(max_length=200)
    year = models.PositiveSmallIntegerField(null=True, blank=True)

    class Meta:
        """The order of books."""

        ordering = ("title", "id")

    def __str__(self) -> str:
        return f"{self.title}, by {self.author}"
