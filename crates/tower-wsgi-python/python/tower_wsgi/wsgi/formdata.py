"""The names of pulsar's module ``pulsar.apps.wsgi.formdata``."""

from tower_wsgi.wsgi.forms import parse_form_data

__all__ = ["parse_form_data"]
