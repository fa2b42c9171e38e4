"""Werkzeug, which only the extra ``tower-wsgi[router]`` installs."""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any


@cache
def werkzeug(module: str) -> Any:  # noqa: ANN401 -- a module
    """Import ``werkzeug.<module>``. Without Werkzeug, the error says how to install it."""
    try:
        return importlib.import_module(f"werkzeug.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "werkzeug":
            raise
        raise ModuleNotFoundError(
            "this part of tower_wsgi.wsgi needs Werkzeug: install tower-wsgi[router]",
            name="werkzeug",
        ) from None
