"""``docs/pulsar.md``: what it says of pulsar's names is true."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest

DOCUMENT = Path(__file__).parents[3] / "docs" / "pulsar.md"
ROW = re.compile(
    r"^\| `([^`]+)` \| (?:`([^`]+)`|\u2013) \| (works|differs|left out) \|", re.MULTILINE
)
# Where a name that is left out would be.
MODULES = (
    "tower_wsgi",
    "tower_wsgi.wsgi",
    "tower_wsgi.ws",
    "tower_wsgi.rpc",
    "tower_wsgi.pulse",
)


class Row(NamedTuple):
    name: str
    here: str
    state: str


ROWS = [Row(*found) for found in ROW.findall(DOCUMENT.read_text())]
NAMES = [row for row in ROWS if row.state != "left out" and row.here.startswith("tower_wsgi.")]
LEFT_OUT = [row for row in ROWS if row.state == "left out"]


def test_each_row_is_read() -> None:
    rows = re.findall(r"^\| `[^`]+` \|.*\|.*\|", DOCUMENT.read_text(), re.MULTILINE)
    assert len(ROWS) == len(rows)
    assert len(NAMES) > 20
    assert len(LEFT_OUT) > 20


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row.name)
def test_a_name_is_there(row: Row) -> None:
    module, _, name = row.here.rpartition(".")
    found = getattr(importlib.import_module(module), name)
    assert found is not None
    # The last part is pulsar's own, but for the command.
    assert name in (row.name.rpartition(".")[2], "Command")


@pytest.mark.parametrize("row", LEFT_OUT, ids=lambda row: row.name)
def test_a_name_that_is_left_out_is_not_there(row: Row) -> None:
    assert not row.here
    name = row.name.rpartition(".")[2]
    for module in map(importlib.import_module, MODULES):
        assert not hasattr(module, name)


def test_all_public_names_are_in_the_tables() -> None:
    listed = {row.here for row in NAMES}
    ours = {
        # What pulsar returns or parses, but does not export there.
        "tower_wsgi.wsgi.Arbiter",
        "tower_wsgi.wsgi.BasicAuth",
        "tower_wsgi.wsgi.DigestAuth",
        "tower_wsgi.wsgi.arbiter",
        # What it does not have.
        "tower_wsgi.ws.broadcast",
        "tower_wsgi.rpc.ParseError",
        "tower_wsgi.rpc.RpcException",
    }
    for module in ("tower_wsgi.wsgi", "tower_wsgi.ws", "tower_wsgi.rpc"):
        names = importlib.import_module(module).__all__
        assert {f"{module}.{name}" for name in names} <= listed | ours
