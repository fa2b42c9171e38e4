"""`WSGIServer` and `arbiter`: serve applications from a script."""

from __future__ import annotations

import sys
from pathlib import PurePath
from typing import TYPE_CHECKING

from tower_wsgi import _native
from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from collections.abc import Sequence

    from _typeshed.wsgi import WSGIApplication


class WSGIServer:
    """Serves a WSGI application on worker processes, each with a pool of threads.

    ``settings`` are the options of the command ``tower-wsgi``, with underscores: ``bind=8070``,
    ``workers=4``, ``thread_workers=10``. Durations are in seconds, or text such as ``"30s"`` or
    ``"5m"``; sizes are in bytes, or text such as ``"16K"`` or ``"10M"``. The command line of the
    script overrides them; its ``--help`` lists them all. With ``parse_console=False`` the command
    line is ignored. ``argv`` replaces `sys.argv`; ``description`` is the first line of the help.

    The workers are the script, executed again: everything before `start` runs in the supervisor and
    in each worker. The application is called in workers only.

    Raises `TypeError` for an unknown setting, `ValueError` for an invalid value.
    """

    def __init__(
        self,
        callable: WSGIApplication,
        name: str = "wsgi",
        *,
        description: str | None = None,
        argv: Sequence[str] | None = None,
        parse_console: bool = True,
        **settings: object,
    ) -> None:
        if not hasattr(callable, "__call__"):  # noqa: B004 -- the builtin's name is taken
            raise TypeError(f"{callable!r} is not a WSGI application: it is not callable")
        self.callable = callable
        self.name = name
        self.description = description
        self._argv = argv
        self._parse_console = parse_console
        self._native = _native.Server(name, self._load, settings)
        _arbiter._servers.append(self)

    def start(self, exit: bool = True) -> int:
        """Serve until a signal stops the program.

        If the exit code is not 0, the program exits with it; with ``exit=False`` the code is
        returned. Other servers of the script are not started: see `arbiter`.

        To be called in the main thread, which then runs the signal handlers of the program. In
        another thread, with ``workers=0``, it returns when the server has stopped.
        """
        return _run([self], exit=exit)

    def _load(self) -> WSGIApplication:
        return native_application(self.callable)

    def _command_line(self) -> list[str] | None:
        if not self._parse_console:
            return None
        program, *options = sys.argv if self._argv is None else self._argv
        return [PurePath(program).name, *options]


class Arbiter:
    """Serves all `WSGIServer` of the script under one supervisor: see `arbiter`."""

    def __init__(self) -> None:
        self._servers: list[WSGIServer] = []

    def start(self, exit: bool = True) -> int:
        """Serve until a signal stops the program; ``exit`` is as in `WSGIServer.start`.

        The command line, if any, is that of the first server. Raises `ValueError` if two servers
        have the same name, `RuntimeError` if there is no server.
        """
        if not self._servers:
            raise RuntimeError("there is no server to start: create a WSGIServer first")
        names = [server.name for server in self._servers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two servers are named "{name}": give each its own name')
        return _run(self._servers, exit=exit)


_arbiter = Arbiter()


def arbiter() -> Arbiter:
    """Return the arbiter, which serves every `WSGIServer` that the script has created.

    ::

        wsgi.WSGIServer(shop, name="shop")
        wsgi.WSGIServer(admin, name="admin", bind=8070)
        arbiter().start()
    """
    return _arbiter


def _run(servers: Sequence[WSGIServer], *, exit: bool) -> int:
    first = servers[0]
    code = _native.run(
        [server._native for server in servers],
        first._command_line(),
        first.description,
    )
    if exit and code:
        sys.exit(code)
    return code
