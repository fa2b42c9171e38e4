"""The names of pulsar's module ``pulsar.apps.rpc.mixins``."""

from tower_wsgi.rpc.commands import PulsarServerCommands

__all__ = ["PulsarServerCommands"]
