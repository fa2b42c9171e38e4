"""The settings of `greenlet_site.py`: one PostgreSQL database, which libpq's variables name."""

from __future__ import annotations

import os
import sys

if os.environ.get("GREENLET_SITE_DRIVER") == "psycopg2":
    # Django takes psycopg 3 if it is installed.
    sys.modules["psycopg"] = None  # type: ignore[assignment]

ALLOWED_HOSTS = ["127.0.0.1"]
DATABASES = {
    "default": {
        "ENGINE": os.environ.get("GREENLET_SITE_ENGINE", "django.db.backends.postgresql"),
        "NAME": os.environ.get("PGDATABASE", ":memory:"),
        "CONN_MAX_AGE": int(os.environ.get("GREENLET_SITE_CONN_MAX_AGE", "0")),
    }
}
INSTALLED_APPS = ["tower_wsgi.pulse"]
ROOT_URLCONF = "greenlet_site"
SECRET_KEY = "the same in all workers"
USE_TZ = True
WSGI_APPLICATION = "greenlet_site.application"
