"""The names of pulsar's module ``pulsar.apps.rpc.jsonrpc``."""

from tower_wsgi.rpc.json_rpc import JSONRPC
from tower_wsgi.rpc.proxy import JsonProxy

__all__ = ["JSONRPC", "JsonProxy"]
