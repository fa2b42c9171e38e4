"""``python manage.py pulse``: serve the Django project."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path, PurePath
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from django.apps import apps
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.core.servers.basehttp import get_internal_wsgi_application

from tower_wsgi import _native, _patched

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Mapping, Sequence

    from _typeshed.wsgi import WSGIApplication

_ABOUT = "Serves the Django project on worker processes with threads, or with greenlets."
_DEFAULT_ADDRESS = "127.0.0.1:8000"
# The only option with a value that may be left out.
_GREENLET = "--greenlet"
_STATIC = "--static"


class Command(BaseCommand):
    """Serves ``settings.WSGI_APPLICATION``, or Django's default application.

    Django's options are parsed here. All others are passed to the server, so that they are defined
    in one place; its help follows Django's.

    The supervisor neither loads nor checks the application. Each worker does both before it serves;
    if the checks of the first workers fail, the program ends.
    """

    help = _ABOUT
    # Checks would load the URLs, and with them the views, in the supervisor: see `_load`.
    requires_system_checks = ()
    _program = "pulse"
    _server_arguments: Sequence[str] = ()

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of `runserver` for static files and checks."""
        parser.usage = "%(prog)s [ADDRESS] [options] [server options]"
        parser.epilog = (
            "ADDRESS is the address to listen on, as for runserver: PORT or HOST:PORT "
            f"(default: {_DEFAULT_ADDRESS}). Use --bind for further addresses."
        )
        parser.add_argument(
            "--skip-checks", action="store_true", help="Skip Django's system checks."
        )
        if apps.is_installed("django.contrib.staticfiles"):
            parser.add_argument(
                "--nostatic",
                action="store_false",
                dest="use_static_handler",
                help="Do not serve static files, neither Django's nor those of STATIC_ROOT.",
            )
            parser.add_argument(
                "--insecure",
                action="store_true",
                dest="insecure_serving",
                help="Serve static files even when DEBUG is off.",
            )

    def print_help(self, prog_name: str, subcommand: str) -> None:
        """Print Django's options, then the server's."""
        super().print_help(prog_name, subcommand)
        print(flush=True)
        _native.run([self._server({})], [self._name(prog_name, subcommand), "--help"], _ABOUT)

    def run_from_argv(self, argv: list[str]) -> None:
        """Separate the server's options from Django's, and let Django parse the latter."""
        program, subcommand, *arguments = argv
        if "-h" in arguments or "--help" in arguments:
            self.print_help(program, subcommand)
            return
        # As in Django's own method: with it, invalid options print the usage and end the program.
        self._called_from_command_line = True
        parser = self.create_parser(program, subcommand)
        _, self._server_arguments = parser.parse_known_args(arguments)
        self._program = self._name(program, subcommand)
        super().run_from_argv([program, subcommand, *_without(arguments, self._server_arguments)])

    def handle(self, *args: object, **options: object) -> None:
        """Serve until a signal stops the program."""
        addresses, server_options = _split(self._server_arguments)
        wants_greenlets = _wants_greenlets(server_options)
        if wants_greenlets and self._called_from_command_line and _patched.is_needed():
            # Django has been imported, and gevent has to come before it.
            _patched.execute()
        if len(addresses) > 1:
            raise CommandError(
                f"unexpected address {addresses[1]!r}: use --bind for further addresses"
            )
        argv = [self._program, *server_options]
        for address in addresses:
            argv += ["--bind", _as_runserver(address)]
        static = self._static(options)
        if any(option.partition("=")[0] == _STATIC for option in server_options):
            # Beside the directories of the command line, not in place of them.
            argv += [word for files in static for word in (_STATIC, files)]
        code = _native.run([self._server(options, static)], argv, _ABOUT)
        if code:
            sys.exit(code)

    def _server(self, options: Mapping[str, object], static: Sequence[str] = ()) -> _native.Server:
        own = {"static": list(static)} if static else {}
        return _native.Server("pulse", partial(self._load, options), own)

    def _static(self, options: Mapping[str, object]) -> list[str]:
        """Return what the server itself serves: ``STATIC_ROOT`` under ``STATIC_URL``.

        In development Django's handler serves the files, which need not be collected then.
        """
        url, root = urlsplit(settings.STATIC_URL or ""), settings.STATIC_ROOT
        is_elsewhere = bool(url.netloc) or not url.path.strip("/")
        if settings.DEBUG or not root or is_elsewhere or not options.get("use_static_handler"):
            return []
        if options["insecure_serving"] or any("whitenoise" in name for name in settings.MIDDLEWARE):
            return []
        if not Path(root).is_dir():
            self.stderr.write(
                f"No static files are served: {root}, the STATIC_ROOT, is no directory. "
                "Run collectstatic."
            )
            return []
        return [f"{url.path}={root}"]

    def _load(self, options: Mapping[str, object]) -> WSGIApplication:
        """Load the application of a worker."""
        if not options["skip_checks"]:
            self.check()
        application: WSGIApplication = get_internal_wsgi_application()
        # Both options exist only if Django's application for static files is installed.
        if options.get("use_static_handler") and (settings.DEBUG or options["insecure_serving"]):
            from tower_wsgi.pulse.static import StaticFiles

            application = StaticFiles(application)  # type: ignore[arg-type]
        return application

    @staticmethod
    def _name(program: str, subcommand: str) -> str:
        return f"{PurePath(program).name} {subcommand}"


def _without(arguments: Sequence[str], others: Sequence[str]) -> list[str]:
    """Return ``arguments`` without ``others``, a subsequence of them."""
    left = list(others)
    kept = []
    for argument in arguments:
        if left and argument == left[0]:
            del left[0]
        else:
            kept.append(argument)
    return kept


def _split(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """Separate addresses from the server's options and their values."""
    addresses: list[str] = []
    options: list[str] = []
    takes_value = False
    for argument in arguments:
        takes_number = options[-1:] == [_GREENLET] and not takes_value
        if takes_number and argument.isdecimal():
            options[-1] += f"={argument}"
        elif takes_value or argument.startswith("-"):
            options.append(argument)
        else:
            addresses.append(argument)
        takes_value = not takes_value and _takes_value(argument)
    return addresses, options


def _wants_greenlets(options: Sequence[str]) -> bool:
    number = os.environ.get("TOWER_WSGI_GREENLET", "0")
    for option in options:
        name, is_given, value = option.partition("=")
        if name == _GREENLET:
            number = value if is_given else "100"
    return number not in ("", "0")


def _takes_value(argument: str) -> bool:
    if argument.startswith("--"):
        return "=" not in argument and argument not in (*_native.flags(), _GREENLET)
    # The value of a short option may be attached to it: `-w4`.
    return argument.startswith("-") and len(argument) == 2


def _as_runserver(address: str) -> str:
    host, colon, port = address.rpartition(":")
    return f"0.0.0.0:{port}" if colon and host == "0" else address
