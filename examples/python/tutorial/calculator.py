"""A calculator that clients call by JSON-RPC.

It needs Werkzeug (``pip install "tower-wsgi[router]"``). Run it with ``python calculator.py``. A
client in Python::

    >>> from tower_wsgi import rpc
    >>> server = rpc.JsonProxy("http://127.0.0.1:8000")
    >>> server.ping()
    'pong'
    >>> server.calc.add(3, 4)
    7
    >>> server.calc.divide(a=3, b=4)
    0.75
    >>> server.functions_list()

Any other client posts JSON: two calls in one request, of which the second wants no reply::

    curl -H 'Content-Type: application/json' http://127.0.0.1:8000/ -d '[
        {"jsonrpc": "2.0", "method": "calc.multiply", "params": [6, 7], "id": 1},
        {"jsonrpc": "2.0", "method": "calc.add", "params": [1, 2]}]'
"""

import random

from tower_wsgi import rpc, wsgi

MAX_STEPS = 10_000


class Root(rpc.PulsarServerCommands):
    """The methods ``ping``, ``echo``, ``functions_list`` and others."""


class Calculator(rpc.JSONRPC):
    """Below the root: the method ``rpc_add`` is ``calc.add``."""

    def rpc_add(self, request, a, b):
        """Add two numbers."""
        return a + b

    def rpc_subtract(self, request, a, b):
        """Subtract the second number from the first."""
        return a - b

    def rpc_multiply(self, request, a, b):
        """Multiply two numbers."""
        return a * b

    def rpc_divide(self, request, a, b):
        """Divide the first number by the second."""
        if b == 0:
            raise rpc.InvalidParams("the divisor is 0")
        return a / b

    def rpc_random_walk(self, request, steps=100, mu=0, sigma=1):
        """Walk a number of steps whose sizes are normally distributed; list the places."""
        if not 0 < steps <= MAX_STEPS:
            raise rpc.InvalidParams(f"the number of steps must be at most {MAX_STEPS}")
        place, places = 0, []
        for _ in range(steps):
            place += random.gauss(mu, sigma)
            places.append(place)
        return places


class Site(wsgi.LazyWsgi):
    """Built in each worker, at its first request."""

    def setup(self, environ=None):
        handler = Root(title="A calculator").putSubHandler("calc", Calculator())
        return wsgi.WsgiHandler(
            [wsgi.wait_for_body_middleware, wsgi.Router("/", post=handler)],
            [wsgi.GZipMiddleware(200)],
        )


application = Site()

if __name__ == "__main__":
    wsgi.WSGIServer(application, description="A calculator by JSON-RPC").start()
