"""Files that are nobody's business but their owner's."""

from __future__ import annotations

import os
import secrets
from pathlib import Path


def open_to_others(path: Path) -> bool:
    """Whether anybody but its owner may read, write or enter it.

    Raises:
        OSError: there is no such file.
    """
    return bool(path.stat().st_mode & 0o077)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
