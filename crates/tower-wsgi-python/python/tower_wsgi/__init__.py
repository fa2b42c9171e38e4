"""The WSGI server for web code that blocks.

Three ways to serve an application:

- the command ``tower-wsgi module:application``, also as ``python -m tower_wsgi``;
- from a script, with `tower_wsgi.wsgi`: ``wsgi.WSGIServer(application).start()``;
- Django: add ``"tower_wsgi.pulse"`` to ``INSTALLED_APPS``, then ``python manage.py pulse``.

Each takes the same options; ``--help`` tells them.
"""

from tower_wsgi._native import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tower_wsgi import wsgi
    from tower_wsgi.wsgi import arbiter

__all__ = ["__version__", "arbiter", "wsgi"]


def __getattr__(name: str) -> object:
    # The workers of the command use nothing of it, and to import it doubles their memory.
    if name in __all__:
        import tower_wsgi.wsgi as module

        return module if name == "wsgi" else getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
