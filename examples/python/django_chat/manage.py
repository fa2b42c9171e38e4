"""A chat by WebSocket, on one worker or on several.

Without a database, on one worker that keeps the latest messages in memory:

    pip install django
    python manage.py pulse

With PostgreSQL, on several workers, whose messages reach each other by LISTEN and NOTIFY:

    pip install django "psycopg[binary]"
    export DATABASE_URL=postgres://me:password@localhost/chat
    python manage.py migrate
    python manage.py pulse --workers 4

Then open http://127.0.0.1:8000/ in two windows.
"""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "chatsite.settings")
    if not os.environ.get("DATABASE_URL"):
        # The default of --workers: the memory is that of one process.
        os.environ.setdefault("WEB_CONCURRENCY", "1")
    execute_from_command_line(sys.argv)
