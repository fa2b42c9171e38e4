"""The applications of the tests: the first segment of the path names one.

With the header `X-Validate` it is called inside `wsgiref.validate.validator`.
"""

from __future__ import annotations

import sys
from typing import Any
from wsgiref.validate import validator

from pep3333.applications import (
    body,
    close,
    environ,
    errors,
    file_wrapper,
    headers,
    input_stream,
    start,
    write,
)
from pep3333.applications.registry import APPLICATIONS, TEXT

__all__ = [
    "body",
    "close",
    "environ",
    "errors",
    "file_wrapper",
    "headers",
    "input_stream",
    "start",
    "write",
]


def application(*arguments: Any, **keywords: Any) -> Any:
    """Call the application that the path names."""
    variables, start_response = arguments
    name = variables["PATH_INFO"].split("/")[1]
    if name == "arguments":
        start_response("200 OK", TEXT)
        return [f"{len(arguments)} {len(keywords)}".encode()]
    if name == "begin":
        sys.stderr.write(f"BEGIN {variables['HTTP_X_KEY']}\n")
        name = "hello"
    chosen = APPLICATIONS[name]
    if "HTTP_X_VALIDATE" in variables:
        chosen = validator(chosen)
    return chosen(variables, start_response)
