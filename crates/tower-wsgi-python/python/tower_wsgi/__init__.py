"""A WSGI server with worker processes and bounded thread pools, for web code that blocks.

There are three ways to serve an application:

- the command ``tower-wsgi module:application``, also as ``python -m tower_wsgi``;
- from a script, with `tower_wsgi.wsgi`: ``wsgi.WSGIServer(application).start()``;
- in a Django project: add ``"tower_wsgi.pulse"`` to ``INSTALLED_APPS``, then run
  ``python manage.py pulse``.

All of them have the same options: see ``tower-wsgi --help``.
"""

from tower_wsgi._native import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tower_wsgi import wsgi
    from tower_wsgi.wsgi import arbiter

__all__ = ["__version__", "arbiter", "wsgi"]

# What pulsar's top module has, and `tower_wsgi.wsgi` as well.
_EXCEPTIONS = (
    "BadRequest",
    "Http401",
    "Http404",
    "HttpException",
    "HttpGone",
    "HttpRedirect",
    "MethodNotAllowed",
    "PermissionDenied",
    "UnprocessableEntity",
    "Unsupported",
)


def __getattr__(name: str) -> object:
    # Imported on demand: the command's workers do not need it, and it would double their memory.
    if name in __all__ or name in _EXCEPTIONS:
        import tower_wsgi.wsgi as module

        return module if name == "wsgi" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
