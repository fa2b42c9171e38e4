"""A Django application with the command ``pulse``, which serves the Django project.

::

    INSTALLED_APPS += ["tower_wsgi.pulse"]

    $ python manage.py pulse --workers 4 --thread-workers 20
"""
