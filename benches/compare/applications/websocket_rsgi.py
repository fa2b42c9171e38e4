"""An echo over WebSocket in RSGI, Granian's own interface."""

from granian.rsgi import WebsocketMessageType


async def application(scope, protocol):
    websocket = await protocol.accept()
    while (message := await websocket.receive()).kind != WebsocketMessageType.close:
        await websocket.send_str(message.data)
