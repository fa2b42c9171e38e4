"""An echo over WebSocket with events: the server calls a method for each message, and an idle socket holds no thread."""

from tower_wsgi.ws import WS, WebSocket
from tower_wsgi.wsgi import WsgiHandler


class Echo(WS):
    def on_message(self, websocket, message):
        websocket.write(message)


application = WsgiHandler([WebSocket("/", Echo())])
