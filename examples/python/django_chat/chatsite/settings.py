"""The settings of the site."""

import os

from chatsite.database import databases

# For development only. For production see
# https://docs.djangoproject.com/en/stable/howto/deployment/checklist/
DEBUG = True
SECRET_KEY = "not-a-secret"  # noqa: S105
ALLOWED_HOSTS = ["localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = ["tower_wsgi.pulse", "chat"]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]

ROOT_URLCONF = "chatsite.urls"
WSGI_APPLICATION = "chatsite.wsgi.application"

DATABASES = databases(os.environ.get("DATABASE_URL"))
CHAT_IN_MEMORY = not DATABASES
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

USE_TZ = True
