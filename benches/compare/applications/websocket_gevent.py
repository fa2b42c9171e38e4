"""An echo over WebSocket with gevent-websocket."""


def application(environ, start_response):
    websocket = environ["wsgi.websocket"]
    while (message := websocket.receive()) is not None:
        websocket.send(message)
    return []
