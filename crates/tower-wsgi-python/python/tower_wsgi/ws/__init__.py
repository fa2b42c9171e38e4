"""WebSockets with events: the server calls a handler for each message.

::

    from tower_wsgi import ws, wsgi

    class Chat(ws.WS):
        def on_open(self, websocket):
            websocket.write("welcome")

        def on_message(self, websocket, message):
            websocket.write(message)

    application = wsgi.WsgiHandler([ws.WebSocket("/chat", Chat()), pages])

The names are those of pulsar's ``pulsar.apps.ws``. An open socket holds neither a thread nor a
greenlet: the server reads the frames, and calls the handler for each message, on a thread of the
application's pool. For one socket the methods are called one after another, in the order of the
messages; for several sockets they are called at the same time. A method may be ``async def``: it is
awaited on the asyncio loop of the worker, and the next one of its socket is called when it is done.

In a Django project, call the socket in a middleware or a view::

    from django.http import HttpResponse

    chat = ws.WebSocket("/chat", Chat())

    def chat_middleware(get_response):
        def middleware(request):
            response = chat(request.META)
            if response is None:  # another path
                return get_response(request)
            return HttpResponse(
                response.content,
                status=response.status_code,
                headers=dict(response.headers.items()),
            )
        return middleware

It needs this server: on others `WebSocket` responds with 500, and the log says why.
"""

from tower_wsgi.ws.handler import WS
from tower_wsgi.ws.protocol import WebSocketProtocol, broadcast
from tower_wsgi.ws.websocket import WebSocket

__all__ = ["WS", "WebSocket", "WebSocketProtocol", "broadcast"]
