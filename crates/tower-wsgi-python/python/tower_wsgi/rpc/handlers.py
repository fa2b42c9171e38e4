"""The names of pulsar's module ``pulsar.apps.rpc.handlers``."""

from tower_wsgi.rpc.errors import InternalError, InvalidParams, InvalidRequest, NoSuchFunction
from tower_wsgi.rpc.handler import RpcHandler, rpc_method

__all__ = [
    "InternalError",
    "InvalidParams",
    "InvalidRequest",
    "NoSuchFunction",
    "RpcHandler",
    "rpc_method",
]
