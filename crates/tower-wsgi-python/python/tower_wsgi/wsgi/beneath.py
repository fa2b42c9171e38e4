"""Files in a directory: no path, and no symbolic link, leads out of it."""

from __future__ import annotations

import errno
import os
from contextlib import ExitStack
from pathlib import Path

# What is missing, or of no use to a client. Other errors, such as too many open files, are faults
# of the server.
_MISSING = frozenset(
    (
        errno.ENOENT,
        errno.ENOTDIR,
        errno.ELOOP,
        errno.ENAMETOOLONG,
        errno.EACCES,
        errno.EPERM,
        errno.EISDIR,
        errno.ENXIO,
        errno.EINVAL,
        errno.EILSEQ,
    )
)
# A FIFO without a writer would block for ever.
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
# A directory on the way needs the permission to search it, not to read it.
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def is_missing(error: OSError | ValueError) -> bool:
    """Whether the error means that there is no such file for clients."""
    # A name with a NUL, or one that the file system's encoding cannot express.
    return isinstance(error, ValueError) or error.errno in _MISSING


def within(directory: Path, segments: list[str]) -> Path | None:
    """Return the path of a file in ``directory``, or ``None`` if a name in it is none of a file.

    ``segments`` are the decoded names between the slashes. A backslash separates names elsewhere.
    """
    for name in segments:
        if name in ("", ".", "..") or "/" in name or "\\" in name or "\0" in name:
            return None
    return directory.joinpath(*segments)


def resolve(directory: str | os.PathLike[str], path: str | os.PathLike[str]) -> Path:
    """Return the real path of a file or directory, without symbolic links.

    Raises `FileNotFoundError` if it is not in ``directory``; otherwise an `OSError` or a
    `ValueError`: see `is_missing`.
    """
    root = os.path.realpath(directory)
    real = Path(os.path.realpath(path, strict=True))
    if not real.is_relative_to(root):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), os.fspath(path))
    return real


def open_within(
    directory: str | os.PathLike[str], path: str | os.PathLike[str], flags: int = 0
) -> int:
    """Open a file in ``directory`` for reading, and return its descriptor.

    Raises what `resolve` raises. After the check the path is walked again without following any
    link, so that it cannot be exchanged in between.
    """
    real = resolve(directory, path)
    root = os.path.realpath(directory)
    names = real.relative_to(root).parts or (".",)
    with ExitStack() as opened:
        at = os.open(root, _PASS)
        opened.callback(os.close, at)
        for name in names[:-1]:
            at = os.open(name, _PASS, dir_fd=at)
            opened.callback(os.close, at)
        return os.open(names[-1], _READ | os.O_NOFOLLOW | flags, dir_fd=at)


def open_any(path: str | os.PathLike[str]) -> int:
    """Open a file that the application has chosen for reading, and return its descriptor."""
    return os.open(path, _READ)
