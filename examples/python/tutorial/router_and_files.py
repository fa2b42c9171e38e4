"""Hello, router and files: a site of routers, and a directory of files.

It needs Werkzeug (``pip install "tower-wsgi[router]"``). Run it with
``python router_and_files.py``, and open http://127.0.0.1:8000/, or use

    curl http://127.0.0.1:8000/hello/World
    curl --data name=World --location http://127.0.0.1:8000/
    curl --header 'Accept: application/json' http://127.0.0.1:8000/squares/12
    curl --range 0-9 http://127.0.0.1:8000/files/style.css
"""

import json
from html import escape
from pathlib import Path

from tower_wsgi import wsgi

FILES = Path(__file__).parent / "files"

PAGE = """<!DOCTYPE html>
<html>
<head><title>Hello</title><link rel="stylesheet" href="/files/style.css"></head>
<body>{}</body>
</html>
"""


def page(body):
    return wsgi.WsgiResponse(200, PAGE.format(body), content_type="text/html; charset=utf-8")


class Site(wsgi.Router):
    """The methods ``get`` and ``post`` are for ``/``; each ``route`` is a path below it."""

    def get(self, request):
        form = '<form method="post"><input name="name"> <button>Greet</button></form>'
        squares = self.get_route("squares").link("12 squared", number=12)
        return page(f'<h1>Hello World!</h1>{form}<p>{squares}, <a href="/files/">files</a></p>')

    def post(self, request):
        name = request.body_data().get("name") or "World"
        return request.redirect(self.get_route("hello").path(name=name))

    @wsgi.route("hello/<name>")
    def hello(self, request):
        return page(f"<h1>Hello {escape(request.urlargs['name'])}!</h1>")

    @wsgi.route("squares/<int:number>", response_content_types=("text/html", "application/json"))
    def squares(self, request):
        number = request.urlargs["number"]
        if request.response.content_type == "application/json":
            return json.dumps({"number": number, "square": number * number})
        return page(f"<p>{number} squared is {number * number}</p>")

    @wsgi.route("notes", method=("put", "delete"))
    def notes(self, request):
        return wsgi.WsgiResponse(204)


application = wsgi.WsgiHandler(
    [
        wsgi.wait_for_body_middleware,
        Site("/"),
        wsgi.MediaRouter("/files", FILES, show_indexes=True),
    ]
)

if __name__ == "__main__":
    wsgi.WSGIServer(application).start()
