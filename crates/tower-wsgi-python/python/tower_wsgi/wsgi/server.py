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
    ``workers=4``, ``thread_workers=10``. Durations are seconds, or a text such as ``"30s"`` or
    ``"5m"``; sizes are bytes, or a text such as ``"16K"`` or ``"10M"``. The command line of the
    script overrides them, and its ``--help`` tells them all; with ``parse_console=False`` it is
    not looked at. ``argv`` stands for `sys.argv`, and ``description`` is the first line of the
    help.

    The workers are the script, executed again: what it does before `start` happens in the
    supervisor and in each worker, and the application is called in workers only.

    Raises `TypeError` for a setting that is unknown, `ValueError` for a wrong value.
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
            raise TypeError(f"{callable!r} is no WSGI application: it cannot be called")
        self.callable = callable
        self.name = name
        self.description = description
        self._argv = argv
        self._parse_console = parse_console
        self._native = _native.Server(name, self._load, settings)
        _arbiter._servers.append(self)

    def start(self, exit: bool = True) -> int:
        """Serve until a signal stops the program.

        When the exit code is not 0 this ends the program with it, or gives it with
        ``exit=False``. Other servers of the script are not started: see `arbiter`.

        To be called in the main thread, which then runs the signal handlers of the program. In
        another one, with ``workers=0``, it gives the exit code and leaves the program to others.
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

        The command line, if any, is that of the first server. Raises `ValueError` when two
        servers have the same name, `RuntimeError` when there is none.
        """
        if not self._servers:
            raise RuntimeError("there is nothing to serve: make a WSGIServer before the start")
        names = [server.name for server in self._servers]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f'two servers are named "{name}": give each a name of its own')
        return _run(self._servers, exit=exit)


_arbiter = Arbiter()


def arbiter() -> Arbiter:
    """Give the arbiter, which serves every `WSGIServer` that the script has made.

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
