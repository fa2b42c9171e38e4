"""Flask-SocketIO in its threading mode."""

from __future__ import annotations

from typing import Any

from flask import Flask
from flask_socketio import SocketIO

application = Flask(__name__)
socketio = SocketIO(application, async_mode="threading")


@socketio.on("message")
def message(data: Any) -> None:
    """Send a message back."""
    socketio.send(data)
