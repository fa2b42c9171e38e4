"""Asynchronous applications, as WSGI and as ASGI: one responds at once, one first awaits 50 ms, as a slow database would take."""

from asyncio import sleep

BODY = b"x" * 1024
HEADERS = [("Content-Type", "text/plain"), ("Content-Length", str(len(BODY)))]
START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(name.lower().encode(), value.encode()) for name, value in HEADERS],
}


async def hello(environ, start_response):
    start_response("200 OK", HEADERS)
    return [BODY]


async def sleeps(environ, start_response):
    await sleep(0.05)
    start_response("200 OK", HEADERS)
    return [BODY]


async def asgi_hello(scope, receive, send):
    await send(START)
    await send({"type": "http.response.body", "body": BODY})


async def asgi_sleeps(scope, receive, send):
    await sleep(0.05)
    await send(START)
    await send({"type": "http.response.body", "body": BODY})
