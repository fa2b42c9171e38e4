"""Runs a Python program after gevent has replaced the blocking functions of the standard library.

``python -m tower_wsgi._patched program.py …`` and ``python -m tower_wsgi._patched -m module …`` are
what ``python program.py …`` and ``python -m module …`` are. ``manage.py pulse --greenlet`` executes
itself in this way, because Django has been imported when the command runs.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import sys
from pathlib import Path

_MODULE = "tower_wsgi._patched"


def is_needed() -> bool:
    """Tell whether gevent is installed and has not replaced anything yet."""
    monkey = sys.modules.get("gevent.monkey")
    if monkey is not None and monkey.is_module_patched("threading"):
        return False
    return importlib.util.find_spec("gevent") is not None


def execute() -> None:
    """Execute this program again, patched. It keeps its process, so the id stays the same."""
    program = len(sys.orig_argv) - len(sys.argv)
    if sys.orig_argv[program - 1] == "-m":
        program -= 1
    options, arguments = sys.orig_argv[1:program], sys.orig_argv[program:]
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *options, "-m", _MODULE, *arguments])  # noqa: S606


def main() -> None:
    """Patch, and run the program of the command line."""
    from gevent import monkey

    monkey.patch_all()
    del sys.argv[0]
    if sys.argv[0].startswith("-m"):
        sys.argv[:1] = [sys.argv[0][2:]] if len(sys.argv[0]) > 2 else []
        runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
        return
    if not getattr(sys.flags, "safe_path", sys.flags.isolated):
        sys.path[0] = str(Path(sys.argv[0]).resolve().parent)
    runpy.run_path(sys.argv[0], run_name="__main__")


if __name__ == "__main__":
    main()
