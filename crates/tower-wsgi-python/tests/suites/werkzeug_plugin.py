"""A plugin for the pytest that runs Werkzeug's tests: the exceptions."""

from __future__ import annotations

import pytest

from suites.werkzeug_exceptions import EXCEPTIONS, NOT_RUN


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what is not run, and expect the exceptions to fail."""
    unknown = {*EXCEPTIONS, *NOT_RUN}
    run = []
    left_out = []
    for item in items:
        names = {item.name, item.name.partition("[")[0]}
        unknown -= names
        if names & NOT_RUN.keys():
            left_out.append(item)
            continue
        for name in names & EXCEPTIONS.keys():
            item.add_marker(pytest.mark.xfail(strict=True, reason=EXCEPTIONS[name]))
        run.append(item)
    if unknown:
        raise pytest.UsageError(f"Werkzeug has no such tests: {unknown}")
    items[:] = run
    config.hook.pytest_deselected(items=left_out)
