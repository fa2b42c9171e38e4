"""The names of pulsar's module ``pulsar.apps.wsgi.auth``."""

from tower_wsgi.wsgi.authorization import BasicAuth, DigestAuth, parse_authorization_header

__all__ = ["BasicAuth", "DigestAuth", "parse_authorization_header"]
