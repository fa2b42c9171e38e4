"""Bodies of requests and responses, for the tests of whole sites."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MEBIBYTE = 1 << 20


def blocks(mebibytes: int) -> Iterator[bytes]:
    """A body of this number of mebibytes, all different."""
    for number in range(mebibytes):
        yield number.to_bytes(4, "big") * (MEBIBYTE // 4)


def form_with_file(content: Iterable[bytes]) -> Iterator[bytes]:
    """A form with the file ``file``, for ``FORM_WITH_FILE``."""
    yield b'--x\r\nContent-Disposition: form-data; name="file"; filename="large"\r\n\r\n'
    yield from content
    yield b"\r\n--x--\r\n"


FORM_WITH_FILE = {"Content-Type": "multipart/form-data; boundary=x"}


def digest(pieces: Iterable[bytes]) -> str:
    """The SHA-256 of all pieces together."""
    sha256 = hashlib.sha256()
    for piece in pieces:
        sha256.update(piece)
    return sha256.hexdigest()
