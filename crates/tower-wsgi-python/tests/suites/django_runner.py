"""Django's runner of tests, with the exceptions for this server."""

from __future__ import annotations

import threading
import types
from importlib import import_module
from typing import TYPE_CHECKING, Any

from django.test.runner import DiscoverRunner

from suites.django_exceptions import EXCEPTIONS, NOT_RUN

if TYPE_CHECKING:
    import unittest


class PatientEvent(threading.Event):
    """One test waits for a tenth of a second, in which a busy machine may do nothing."""

    def wait(self, timeout: float | None = None) -> bool:
        return super().wait(60)


class Runner(DiscoverRunner):
    """Leaves out what is not run, and expects the exceptions to fail."""

    def build_suite(self, *arguments: Any, **options: Any) -> unittest.TestSuite:
        suite: unittest.TestSuite = super().build_suite(*arguments, **options)
        tests: Any = import_module("servers.tests")
        tests.threading = types.SimpleNamespace(Event=PatientEvent)
        unknown = {*EXCEPTIONS, *NOT_RUN}
        run = []
        for test in suite:
            name = test.id()
            module = name.rsplit(".", 2)[0]
            unknown -= {name, module}
            if name in EXCEPTIONS:
                test.__unittest_expecting_failure__ = True
            if module not in NOT_RUN:
                run.append(test)
        if unknown:
            raise AssertionError(f"Django has no such tests: {unknown}")
        return type(suite)(run)
