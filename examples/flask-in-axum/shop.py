"""A small shop in Flask. `src/main.rs` tells how to run it."""

import time

from flask import Flask, request

app = Flask(__name__)


@app.get("/")
def index() -> str:
    """The first page."""
    return "<h1>The shop</h1><form method=post action=/order><input name=what><button>Order</button></form>\n"


@app.post("/order")
def order() -> str:
    """Takes an order."""
    return f"You ordered {request.form['what']}.\n"


@app.get("/compute")
def compute() -> str:
    """Computes in Python for `ms` milliseconds, and so holds the interpreter's lock."""
    milliseconds = int(request.args.get("ms", "50"))
    end = time.perf_counter() + milliseconds / 1000
    rounds = 0
    while time.perf_counter() < end:
        rounds += 1
    return f"{rounds} rounds\n"


@app.get("/sleep")
def sleep() -> str:
    """Waits for `ms` milliseconds, as for a database."""
    milliseconds = int(request.args.get("ms", "50"))
    time.sleep(milliseconds / 1000)
    return f"slept {milliseconds} ms\n"
