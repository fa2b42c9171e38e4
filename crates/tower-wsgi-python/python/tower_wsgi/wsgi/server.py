"""`WSGIServer` and `arbiter`: serve applications from a script."""

from __future__ import annotations

import inspect
import sys
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from tower_wsgi import _native
from tower_wsgi._native import HttpServerResponse
from tower_wsgi.wsgi.environ import test_wsgi_environ
from tower_wsgi.wsgi.handler import native_application

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from _typeshed.wsgi import WSGIApplication

__all__ = ["Arbiter", "HttpServerResponse", "WSGIServer", "arbiter", "test_wsgi_environ"]


class WSGIServer:
    """Serves a WSGI application on worker processes, each with a pool of threads.

    ``params`` are the options of the command ``tower-wsgi``, with underscores: ``bind=8070``, or
    ``bind=("127.0.0.1", 8070)``, ``workers=4``, ``thread_workers=10``. Durations are in seconds, or
    text such as ``"30s"`` or ``"5m"``; sizes are in bytes, or text such as ``"16K"`` or ``"10M"``.
    The settings of pulsar have their names there as well, with a `DeprecationWarning`. The
    configuration file and the command line of the script override them. ``cfg`` is a mapping of
    further settings, which ``params`` override.

    The help of the script shows its settings as the defaults. It begins with ``description``, which
    is the script's docstring by default, and ends with ``epilog``; ``version`` is what the option
    ``--version`` shows. With ``parse_console=False`` the command line is ignored, with
    ``load_config=False`` the configuration file as well. ``argv`` replaces `sys.argv`.

    A subclass may have the application as its method or attribute ``callable``.

    The workers are the script, executed again: everything before `start` runs in the supervisor and
    in each worker. The application is called in workers only.

    Raises `TypeError` for an unknown setting, `ValueError` for an invalid value.
    """

    callable: Any = None
    """The WSGI application."""

    def __init__(
        self,
        callable: WSGIApplication | None = None,
        load_config: bool = True,
        *,
        name: str | None = None,
        description: str | None = None,
        epilog: str | None = None,
        version: str | None = None,
        argv: Sequence[str] | None = None,
        parse_console: bool = True,
        cfg: Mapping[str, object] | None = None,
        **params: object,
    ) -> None:
        if load_config is not True and load_config is not False:
            raise TypeError(
                f"load_config is {load_config!r}; it is True or False. The name of a server is a "
                "keyword: name="
            )
        if callable is not None:
            self.callable = callable
        if self.callable is not None and not hasattr(self.callable, "__call__"):  # noqa: B004 -- the builtin's name is taken
            raise TypeError(f"{self.callable!r} is not a WSGI application: it is not callable")
        settings = {**(cfg or {}), **params}
        if not load_config:
            settings.pop("config", None)
        self.description = description
        self.epilog = epilog
        self.version = version
        self._argv = argv
        self._parse_console = parse_console and load_config
        self._native = _native.Server(name, self._load, settings)
        self.name: str = self._native.name
        _arbiter._servers.append(self)

    @property
    def cfg(self) -> _native.Config:
        """The settings, without those of the configuration file and the command line.

        A request has all of them, as ``environ["pulsar.cfg"]``.
        """
        return self._native.cfg

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
    for server in servers:
        if server.callable is None:
            raise TypeError(f'the server "{server.name}" has no application: give it a callable')
    first = servers[0]
    code = _native.run(
        [server._native for server in servers],
        first._command_line(),
        _docstring() if first.description is None else first.description,
        first.epilog,
        first.version,
    )
    if exit and code:
        sys.exit(code)
    return code


def _docstring() -> str | None:
    text = getattr(sys.modules.get("__main__"), "__doc__", None)
    return inspect.cleandoc(text) if isinstance(text, str) else None
