"""Runs Django's `tests/servers` with this server: ``python -m suites.django_run DJANGO'S-SOURCES``.

The environment variable `DATABASES_IN` names a folder for the databases; if it is empty, they
are in memory.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from django.core.servers import basehttp

from suites import django_server


def main() -> None:
    script = Path(sys.argv[1]) / "tests/runtests.py"
    # Before Django's tests take them from there.
    basehttp.ThreadedWSGIServer = django_server.ThreadedWSGIServer  # type: ignore[assignment,misc]
    basehttp.WSGIServer = django_server.WSGIServer  # type: ignore[assignment,misc]
    options = ["servers", "--settings=suites.django_settings", "--parallel=1", "-v2"]
    sys.argv = [str(script), *options]
    # As when it is started by its name.
    sys.path.insert(0, str(script.parent))
    runpy.run_path(str(script), run_name="__main__")


if __name__ == "__main__":
    main()
