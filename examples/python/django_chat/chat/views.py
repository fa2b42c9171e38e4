"""The page, and the WebSocket that it opens."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from tower_wsgi import ws

from chat.room import MAX_NAME, MAX_TEXT, room

if TYPE_CHECKING:
    from tower_wsgi.ws import WebSocketProtocol

_ONE_WORKER = (
    "Without a database the chat works on one worker only: set DATABASE_URL, or start it with "
    "--workers 1.\n"
)


class Chat(ws.WS):
    """What happens on a WebSocket. The methods are called on threads of the pool."""

    def on_open(self, websocket: WebSocketProtocol) -> None:
        """Let the client hear the others."""
        room().enter(websocket)

    def on_message(self, websocket: WebSocketProtocol, message: str) -> None:
        """Say to all what the client says."""
        try:
            said = json.loads(message)
            name, text = str(said["name"]), str(said["text"])
        except (ValueError, TypeError, KeyError):
            websocket.write_close(1008)
        else:
            room().say(name, text)

    def on_close(self, websocket: WebSocketProtocol) -> None:
        """Forget the client."""
        room().leave(websocket)


web_socket = ws.WebSocket("/message", Chat())


def page(request: HttpRequest) -> HttpResponse:
    """Show the page."""
    if _is_split(request):
        return HttpResponse(_ONE_WORKER, status=503, content_type="text/plain")
    return render(request, "chat/page.html", {"max_name": MAX_NAME, "max_text": MAX_TEXT})


def message(request: HttpRequest) -> HttpResponse:
    """Open the WebSocket."""
    if _is_split(request):
        return HttpResponse(_ONE_WORKER, status=503, content_type="text/plain")
    response = web_socket(request.META)
    if response is None:
        raise Http404
    return HttpResponse(
        response.content, status=response.status_code, headers=dict(response.headers)
    )


def _is_split(request: HttpRequest) -> bool:
    """Whether the clients of a worker would not hear those of another one."""
    return settings.CHAT_IN_MEMORY and request.META["pulsar.cfg"].workers > 1
