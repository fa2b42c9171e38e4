"""The application of `test_flask.py`: each view shows one thing that Flask needs of a server."""

from __future__ import annotations

import hashlib
import io
import os
import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from flask import (
    Flask,
    Response,
    abort,
    g,
    jsonify,
    make_response,
    redirect,
    request,
    send_file,
    session,
    stream_with_context,
    url_for,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.wrappers import Response as AnyResponse

app = Flask(__name__)
app.secret_key = "the same in all workers"
# As Flask has it by default: what is larger in a form, and no file, is refused.
app.config["MAX_FORM_MEMORY_SIZE"] = 500_000

FILES = Path(os.environ.get("FLASK_SITE_FILES", "."))
together = threading.Barrier(4)


def ask(what: str) -> str:
    """Tell the test where the application is, and wait for its word."""
    host, port = request.args["ask"].split(":")
    with socket.create_connection((host, int(port)), timeout=60) as test:
        test.sendall(what.encode() + b"\n")
        return test.makefile().readline().strip()


@app.get("/")
def index() -> str:
    return "an index"


@app.post("/visits")
def visits() -> AnyResponse:
    session["visits"] = session.get("visits", 0) + 1
    return jsonify(visits=session["visits"], worker=os.getpid())


@app.post("/form")
def form() -> AnyResponse:
    files = {
        name: [(f.filename, f.read().decode("latin-1")) for f in request.files.getlist(name)]
        for name in request.files
    }
    return jsonify(form=request.form.to_dict(flat=False), files=files, args=request.args)


@app.post("/json")
def json() -> AnyResponse:
    return jsonify(request.get_json())


@app.route("/upload", methods=["POST", "PUT"])
def upload() -> AnyResponse:
    """The digest of a body, or of the file in a form."""
    stream = request.files["file"].stream if request.files else request.stream
    digest, length = hashlib.sha256(), 0
    while block := stream.read(1 << 16):
        digest.update(block)
        length += len(block)
    return jsonify(sha256=digest.hexdigest(), length=length, worker=os.getpid())


@app.post("/small")
def small() -> str:
    request.max_content_length = 1000
    return str(len(request.get_data()))


@app.get("/stream")
def stream() -> AnyResponse:
    """One chunk after the other: the next is made when the test has the one before."""

    @stream_with_context
    def chunks() -> Iterator[str]:
        try:
            for number in range(int(request.args["chunks"])):
                yield f"chunk {number}\n"
                ask(f"made {number}")
        finally:
            ask("closed")

    return Response(chunks(), mimetype="text/plain")


@app.get("/large")
def large() -> AnyResponse:
    """As many mebibytes as asked for, made one by one, with or without their length."""
    mebibytes = int(request.args["mebibytes"])
    response = Response(bytes([number % 256]) * (1 << 20) for number in range(mebibytes))
    if "length" in request.args:
        response.content_length = mebibytes << 20
    return response


@app.get("/breaks")
def breaks() -> AnyResponse:
    def chunks() -> Iterator[str]:
        yield "half"
        raise LookupError("the other half is not here")

    return Response(chunks())


@app.get("/file/<path:name>")
def file(name: str) -> AnyResponse:
    """A file on disk: Flask handles conditions and ranges."""
    return send_file(FILES / name, as_attachment="attachment" in request.args, max_age=60)


@app.get("/memory")
def memory() -> AnyResponse:
    """A file that is none on disk."""
    content = io.BytesIO(bytes(range(256)) * 100)
    return send_file(content, download_name="a ü.bin", as_attachment=True, etag="an-etag")


@app.get("/move")
def move() -> AnyResponse:
    return redirect(url_for("form"), int(request.args["code"]))


@app.get("/cookies")
def cookies() -> AnyResponse:
    response = make_response(jsonify(request.cookies))
    response.set_cookie("one", "1", httponly=True, samesite="Lax")
    response.set_cookie("two", 'with "quotes", and; more', path="/cookies")
    response.set_cookie("session-like", "ü")
    response.delete_cookie("old")
    return response


@app.get("/fails")
def fails() -> str:
    raise LookupError("nothing is here")


@app.get("/abort/<int:code>")
def abort_with(code: int) -> str:
    abort(code)


@app.get("/where")
def where() -> AnyResponse:
    return jsonify(
        url=request.url,
        host=request.host,
        secure=request.is_secure,
        path=request.path,
        root=request.root_path,
        itself=url_for("where"),
        outside=url_for("where", _external=True),
        client=request.remote_addr,
    )


@app.route("/methods", methods=["GET", "PUT", "PATCH", "DELETE"])
def methods() -> str:
    return request.method


@app.get("/together/<word>")
def meet(word: str) -> AnyResponse:
    """Served when four requests are here, in four threads of one worker."""
    g.word = word
    together.wait(60)
    return jsonify(word=g.word, query=request.args["word"], thread=threading.get_ident())


@app.get("/after")
def after() -> AnyResponse:
    """What Flask does when the response is over."""
    body = {"page": "a page", "empty": "", "stream": iter(["a ", "stream"])}[request.args["kind"]]
    response = app.response_class(body)
    where, path = request.args["ask"], request.path

    @response.call_on_close
    def tell() -> None:
        with app.test_request_context(path, query_string={"ask": where}):
            ask("closed")

    return response
