"""Exceptions that are error objects of JSON-RPC."""

from __future__ import annotations


class RpcException(Exception):
    """An error of a method, which the client gets: a code, a message and any JSON value.

    A method raises it, or one of its subclasses. The codes from -32768 to -32000 are those of
    JSON-RPC; -32000, the default, is for errors of a server that have no code of their own.
    """

    code = -32000
    message = "Server error"

    def __init__(self, message: str = "", code: int | None = None, data: object = None) -> None:
        if message:
            self.message = message
        if code is not None:
            self.code = code
        self.data = data
        super().__init__(self.message if data is None else f"{self.message}: {data}")

    def error_object(self) -> dict[str, object]:
        """Return the error object of JSON-RPC."""
        found: dict[str, object] = {"code": self.code, "message": self.message}
        if self.data is not None:
            found["data"] = self.data
        return found


class ParseError(RpcException):
    """-32700: the body is not JSON."""

    code = -32700
    message = "Parse error"


class InvalidRequest(RpcException):
    """-32600: the JSON value is not a request of JSON-RPC 2.0, or exceeds a limit."""

    code = -32600
    message = "Invalid Request"


class NoSuchFunction(RpcException):
    """-32601: there is no such method."""

    code = -32601
    message = "Method not found"


class InvalidParams(RpcException):
    """-32602: the method has other parameters."""

    code = -32602
    message = "Invalid params"


class InternalError(RpcException):
    """-32603: the method failed. The log has the traceback."""

    code = -32603
    message = "Internal error"
