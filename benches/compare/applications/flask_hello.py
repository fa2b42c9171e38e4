"""Flask's first page."""

from flask import Flask

application = Flask(__name__)


@application.get("/")
def hello():
    return "Hello, World!"
