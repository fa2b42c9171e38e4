"""A small library: a model, the admin, static files.

    pip install django
    python manage.py migrate
    python manage.py createsuperuser
    python manage.py pulse --workers 4 --thread-workers 20

Then open http://127.0.0.1:8000/ and http://127.0.0.1:8000/admin/. The database is
``library.sqlite3`` in the directory that the environment variable ``LIBRARY_DATA`` names, by
default in this one.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mysite.settings")
    execute_from_command_line(sys.argv)
