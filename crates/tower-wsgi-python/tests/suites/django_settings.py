"""The settings for Django's own tests: those of its `test_sqlite`, with another runner."""

from __future__ import annotations

import os

# Empty for databases in memory. To close these does nothing, so some tests want a file.
_FOLDER = os.environ["DATABASES_IN"]


def _database(name: str) -> dict[str, object]:
    test = {"NAME": f"{_FOLDER}/{name}.sqlite3"} if _FOLDER else {}
    return {"ENGINE": "django.db.backends.sqlite3", "TEST": test}


DATABASES = {name: _database(name) for name in ("default", "other")}
SECRET_KEY = "secret"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"
USE_TZ = False
TEST_RUNNER = "suites.django_runner.Runner"
