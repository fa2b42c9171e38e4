"""An echo over WebSocket with flask-sock, which takes the socket from the environ."""

from flask import Flask
from flask_sock import Sock

application = Flask(__name__)
sock = Sock(application)


@sock.route("/")
def echo(websocket):
    while True:
        websocket.send(websocket.receive())
