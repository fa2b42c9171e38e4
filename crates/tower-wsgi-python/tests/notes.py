"""What the tests note for `cargo xtask test`: failures, skips, and that pytest came to its end."""

from __future__ import annotations

import os
from pathlib import Path
from typing import NoReturn

import pytest

# For a test that has no meaning with some of its parameters: nothing is missing on the machine.
_NOT_APPLICABLE = "does not apply: "


def not_applicable(reason: str) -> NoReturn:
    """Skip a test that has no meaning with its parameters."""
    pytest.skip(f"{_NOT_APPLICABLE}{reason}")


def see_skip(report: pytest.TestReport) -> None:
    """Note a test that the machine does not allow; where ``CI`` is ``true``, it has failed."""
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = str(report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr)
    reason = reason.removeprefix("Skipped: ")
    if reason.startswith(_NOT_APPLICABLE):
        return
    if os.environ.get("CI") == "true":
        report.outcome = "failed"
        report.longrepr = f"skipped, and with CI=true nothing may be: {reason}"
    else:
        _note("skipped", report.nodeid, reason)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Note what failed, in the test or around it."""
    if report.failed:
        _note("failed", report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Note what could not be collected."""
    if report.failed:
        _note("failed", report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Note the end. What crashes has none."""
    passed = session.testscollected - session.testsfailed
    _note("ended", str(passed), str(int(exitstatus)))


def _note(what: str, name: str, reason: str = "") -> None:
    if file := os.environ.get("TEST_NOTES"):
        words = (" ".join(word.split()) for word in (what, name, reason))
        with Path(file).open("a") as notes:
            notes.write("\t".join(words) + "\n")
