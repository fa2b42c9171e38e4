"""A notice board: a form with an upload, a database, a download, and a session.

    pip install flask
    tower-wsgi app:create_app() --workers 2 --thread-workers 10

in this directory. Notices are stored in ``board.sqlite3`` and files in ``uploads``, in the
directory that the environment variable ``BOARD_DATA`` names, by default in this one.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from flask import (
    Flask,
    abort,
    current_app,
    flash,
    redirect,
    render_template,
    request,
    send_file,
    session,
    url_for,
)

if TYPE_CHECKING:
    from werkzeug.wrappers import Response

SCHEMA = """
CREATE TABLE IF NOT EXISTS notice (
    id INTEGER PRIMARY KEY,
    author TEXT NOT NULL,
    text TEXT NOT NULL,
    file_name TEXT,
    stored_as TEXT
)
"""


def create_app() -> Flask:
    """Create the application. The server calls this once in each worker."""
    app = Flask(__name__)
    data = Path(os.environ.get("BOARD_DATA", Path(__file__).parent))
    app.config["DATABASE"] = data / "board.sqlite3"
    app.config["UPLOADS"] = data / "uploads"
    app.config["UPLOADS"].mkdir(parents=True, exist_ok=True)
    app.secret_key = _secret_key(data / "secret_key")
    with closing(_connect(app)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute(SCHEMA)
    app.add_url_rule("/", view_func=board)
    app.add_url_rule("/notices", view_func=add, methods=["POST"])
    app.add_url_rule("/notices/<int:number>/file", view_func=download)
    return app


def board() -> str:
    """Show the newest notices, and the form."""
    with closing(_connect(current_app)) as database:
        notices = database.execute("SELECT * FROM notice ORDER BY id DESC LIMIT 50").fetchall()
    return render_template("board.html", notices=notices, author=session.get("author", ""))


def add() -> Response:
    """Add a notice, with or without a file."""
    author = request.form.get("author", "").strip()
    text = request.form.get("text", "").strip()
    if not author or not text:
        flash("A notice needs a name and a text.")
        return redirect(url_for("board"))
    session["author"] = author
    file_name = stored_as = None
    upload = request.files.get("file")
    if upload is not None and upload.filename:
        file_name, stored_as = upload.filename, secrets.token_hex(16)
        # Not the client's file name, which may be any path.
        upload.save(current_app.config["UPLOADS"] / stored_as)
    with closing(_connect(current_app)) as database, database:
        database.execute(
            "INSERT INTO notice (author, text, file_name, stored_as) VALUES (?, ?, ?, ?)",
            (author, text, file_name, stored_as),
        )
    return redirect(url_for("board"), 303)


def download(number: int) -> Response:
    """Send the file of a notice."""
    with closing(_connect(current_app)) as database:
        notice = database.execute("SELECT * FROM notice WHERE id = ?", (number,)).fetchone()
    if notice is None or notice["stored_as"] is None:
        abort(404)
    path = current_app.config["UPLOADS"] / notice["stored_as"]
    return send_file(path, as_attachment=True, download_name=notice["file_name"])


def _connect(app: Flask) -> sqlite3.Connection:
    # Other workers write too: wait for them.
    database = sqlite3.connect(app.config["DATABASE"], timeout=30)
    database.row_factory = sqlite3.Row
    return database


def _secret_key(path: Path) -> bytes:
    """Return the key for sessions, which all workers share."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(32))
    return path.read_bytes()
