"""Runs the servers that are started from a script, as each one's documentation shows it.

usage: launch.py SERVER MODULE:CALLABLE PORT
"""

import importlib
import sys

server, application, port = sys.argv[1:]
module, name = application.split(":")
callable_ = getattr(importlib.import_module(module), name)

if server == "bjoern":
    import bjoern

    bjoern.run(callable_, "127.0.0.1", int(port))
else:
    # fastpysgi and fastwsgi are written alike.
    importlib.import_module(server).run(callable_, "127.0.0.1", int(port))
