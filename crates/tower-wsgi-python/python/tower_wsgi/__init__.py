"""The WSGI server for web code that blocks.

Three ways to serve an application:

- the command ``tower-wsgi module:application``, also as ``python -m tower_wsgi``;
- from a script, with `tower_wsgi.wsgi`: ``wsgi.WSGIServer(application).start()``;
- Django: add ``"tower_wsgi.pulse"`` to ``INSTALLED_APPS``, then ``python manage.py pulse``.

Each takes the same options; ``--help`` tells them.
"""

from tower_wsgi._native import __version__
from tower_wsgi.wsgi import arbiter

__all__ = ["__version__", "arbiter"]
