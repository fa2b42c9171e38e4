"""The messages, if there is a database."""

from django.db import models


class Message(models.Model):
    """A message of a client."""

    name = models.CharField(max_length=40)
    text = models.CharField(max_length=1000)

    class Meta:
        """The order of messages."""

        ordering = ("id",)

    def __str__(self) -> str:
        return f"{self.name}: {self.text}"
