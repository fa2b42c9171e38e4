"""JSON-RPC 2.0: methods of Python objects for clients that speak JSON over HTTP.

::

    from tower_wsgi import rpc, wsgi

    class Calculator(rpc.JSONRPC):
        def rpc_add(self, request, a, b):
            return a + b

    class Root(rpc.JSONRPC):
        async def rpc_ping(self, request):
            return "pong"

    root = Root().putSubHandler("calc", Calculator())  # "ping" and "calc.add"
    wsgi.WSGIServer(wsgi.WsgiHandler([root])).start()

The names are those of pulsar's ``pulsar.apps.rpc``; the protocol is JSON-RPC 2.0 exactly, with
notifications and batches. An error of a method is a response with status 200 and an ``error``.

Everything works with any WSGI server, if no method is asynchronous.
"""

from tower_wsgi.rpc.commands import PulsarServerCommands
from tower_wsgi.rpc.errors import (
    InternalError,
    InvalidParams,
    InvalidRequest,
    NoSuchFunction,
    ParseError,
    RpcException,
)
from tower_wsgi.rpc.handler import RpcHandler, rpc_method
from tower_wsgi.rpc.json_rpc import JSONRPC
from tower_wsgi.rpc.proxy import JsonProxy

__all__ = [
    "JSONRPC",
    "InternalError",
    "InvalidParams",
    "InvalidRequest",
    "JsonProxy",
    "NoSuchFunction",
    "ParseError",
    "PulsarServerCommands",
    "RpcException",
    "RpcHandler",
    "rpc_method",
]
