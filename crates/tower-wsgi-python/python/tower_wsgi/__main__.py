"""The command ``tower-wsgi``, also as ``python -m tower_wsgi``."""

import sys

from tower_wsgi import _native


def main() -> int:
    """Serve the application that the command line names; return the exit code."""
    started_as_module = sys.argv[0].endswith("/__main__.py")
    program = "python -m tower_wsgi" if started_as_module else "tower-wsgi"
    return _native.command([program, *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
