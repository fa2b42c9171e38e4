"""The source distributions of installed packages, which have their tests."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
from importlib.metadata import version
from pathlib import Path

WORKSPACE = Path(__file__).parents[4]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", WORKSPACE / "target"))


def source(package: str) -> Path:
    """Give the folder of ``package``'s sources, of the version that is installed.

    The first time they are downloaded into ``target/sources``.
    """
    name = f"{package}-{version(package)}"
    sources = TARGET / "sources"
    folder = sources / name
    if folder.is_dir():
        return folder
    sources.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=sources) as temporary:
        _download(package, temporary)
        (archive,) = Path(temporary).glob("*.tar.gz")
        with tarfile.open(archive) as tar:
            tar.extractall(temporary, filter="data")
        unpacked = Path(temporary) / name
        about = (unpacked / "PKG-INFO").read_text()
        if f"\nVersion: {version(package)}\n" not in about:
            raise AssertionError(f"{archive.name} has not the version that its name says")
        unpacked.rename(folder)
    return folder


def _download(package: str, folder: str) -> None:
    # pip compares the hash with the index's.
    wanted = f"{package}=={version(package)}"
    options = ["--no-deps", "--no-binary", package, "--disable-pip-version-check", "--dest", folder]
    pip = subprocess.run(
        [sys.executable, "-m", "pip", "download", *options, wanted],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if pip.returncode:
        raise AssertionError(
            f"the sources of {wanted} could not be downloaded; their tests need the network once, "
            f"until {TARGET}/sources has them:\n{pip.stdout}"
        )
