"""A PostgreSQL server for the tests, with the programs of Debian's package."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from conftest import PATIENCE

if TYPE_CHECKING:
    from collections.abc import Iterator

_USER = "postgres"
# For two workers with a hundred greenlets, of which there are four while they are replaced.
_MAX_CONNECTIONS = 450


class Postgresql:
    """A server that listens on a Unix socket in ``directory`` only."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    @property
    def environ(self) -> dict[str, str]:
        """The variables by which libpq finds it."""
        return {"PGHOST": str(self.directory), "PGUSER": _USER, "PGDATABASE": "postgres"}

    def connect(self) -> psycopg.Connection[Any]:
        """Connect to it."""
        return psycopg.connect(
            host=str(self.directory), user=_USER, dbname="postgres", autocommit=True
        )

    def is_ready(self) -> bool:
        """Tell whether it takes connections."""
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True

    def connections(self, application: str) -> int:
        """Count the connections of ``application`` (libpq's ``PGAPPNAME``)."""
        return self.count("application_name = %s", application)

    def count(self, condition: str, *values: object) -> int:
        """Count the connections for which an SQL condition on ``pg_stat_activity`` holds."""
        with self.connect() as connection:
            query = f"SELECT count(*) FROM pg_stat_activity WHERE {condition}"
            row = connection.execute(query, values).fetchone()  # type: ignore[arg-type]
        assert row is not None
        return int(row[0])


@pytest.fixture(scope="session", name="postgresql")
def postgresql_server() -> Iterator[Postgresql]:
    """Start a server in a temporary directory, and stop it after the last test."""
    programs = _programs()
    # PostgreSQL does not run as root, nor in a directory that its user cannot enter.
    user = _unprivileged_user()
    directory = Path(tempfile.mkdtemp(prefix="postgresql-"))
    try:
        if user is not None:
            os.chown(directory, user.pw_uid, user.pw_gid)
        with _running(programs, user, directory) as server:
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def _programs() -> Path:
    """Find the directory of the programs: Debian has one for each version, outside of PATH."""
    versions = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    newest = sorted(versions, key=lambda path: [int(path.parts[-3])], reverse=True)
    in_path = [Path(found).resolve() for found in [shutil.which("postgres")] if found]
    for program in [*newest, *in_path]:
        if (program.parent / "initdb").exists():
            return program.parent
    pytest.skip("there is no PostgreSQL (Debian's package postgresql)")


def _unprivileged_user() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(_USER)
    except KeyError:
        pytest.skip("PostgreSQL does not run as root, and there is no user postgres")


@contextmanager
def _running(
    programs: Path, user: pwd.struct_passwd | None, directory: Path
) -> Iterator[Postgresql]:
    data, log = directory / "data", directory / "log"
    credentials: dict[str, Any] = {"cwd": directory}
    if user is not None:
        credentials.update(user=user.pw_uid, group=user.pw_gid, extra_groups=[])
    initdb = [programs / "initdb", "--pgdata", data, "--username", _USER, "--no-sync"]
    made = subprocess.run(
        [*initdb, "--auth", "trust", "--encoding", "UTF8", "--no-locale"],
        capture_output=True,
        text=True,
        **credentials,
    )
    if made.returncode:
        pytest.skip(f"PostgreSQL's initdb has failed: {made.stderr.strip()}")
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": directory,
        "max_connections": _MAX_CONNECTIONS,
        "fsync": "off",
        "autovacuum": "off",
    }
    options = [f"--{name.replace('_', '-')}={value}" for name, value in settings.items()]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs / "postgres", "-D", data, *options],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            **credentials,
        )
    try:
        server = Postgresql(directory)
        deadline = time.monotonic() + PATIENCE
        while not server.is_ready():
            if process.poll() is not None:
                pytest.skip(f"PostgreSQL does not start: {log.read_text().strip()}")
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield server
    finally:
        # A fast shutdown: it ends the connections that are left.
        process.send_signal(signal.SIGINT)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
