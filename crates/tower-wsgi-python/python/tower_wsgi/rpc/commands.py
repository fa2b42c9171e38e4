"""`PulsarServerCommands`: what the root of a tree of handlers says of itself."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from tower_wsgi._native import __version__
from tower_wsgi.rpc.json_rpc import JSONRPC

if TYPE_CHECKING:
    from tower_wsgi.wsgi.request import WsgiRequest


class PulsarServerCommands(JSONRPC):
    """Methods for a client that wants to know what there is."""

    def rpc_ping(self, request: WsgiRequest) -> str:
        """Respond with "pong"."""
        return "pong"

    def rpc_echo(self, request: WsgiRequest, message: Any = "") -> Any:  # noqa: ANN401
        """Respond with the message."""
        return message

    def rpc_functions_list(self, request: WsgiRequest) -> list[tuple[str, str]]:
        """List the methods, each with its documentation."""
        return list(self.listFunctions())

    def rpc_documentation(self, request: WsgiRequest) -> str:
        """Document the methods in one text."""
        parts = [self.title, self.documentation]
        parts += [f"{name}\n{doc}" for name, doc in self.listFunctions()]
        return "\n\n".join(filter(None, parts))

    def rpc_server_info(self, request: WsgiRequest) -> dict[str, Any]:
        """Describe the server and the process that responds."""
        return {
            "server": {
                "name": request.get("SERVER_SOFTWARE", ""),
                "version": __version__,
                "python_version": platform.python_version(),
                "process_id": os.getpid(),
            }
        }
