"""A Django application with the command ``pulse``, which serves the Django project.

::

    INSTALLED_APPS += ["tower_wsgi.pulse"]

    $ python manage.py pulse --workers 4 --thread-workers 20
    $ python manage.py pulse --workers 4 --greenlet 100

`Wsgi` is the project's application for a script, as in ``wsgi.WSGIServer(pulse.Wsgi()).start()``.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tower_wsgi.pulse.wsgi import Wsgi

__all__ = ["Wsgi"]


def __getattr__(name: str) -> object:
    # Imported on demand: Django imports this package before it has its settings.
    if name in __all__:
        from tower_wsgi.pulse.wsgi import Wsgi

        return Wsgi
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
