"""Which processes serve a data folder: a dispatch whose process is gone has no owner any more (semantics.md I-8)."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Final

from gateway.model import ID_PATTERN, new_id

HEADER: Final = "holdgate-instance"
"""By which a process tells over HTTP which one it is."""


class Instance:
    """This process, alive for as long as it holds its lock. The kernel lets go of the lock however the process ends."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.id = new_id("run")
        self._folder = folder
        self._path = folder / f"{self.id}.lock"
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)

    def alive(self, id: str) -> bool:
        """Whether the process of that name is still there. Sweeps away the lock file of one that is not."""
        return id == self.id or serves(self._folder, id)

    def close(self) -> None:
        """Say goodbye."""
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)


def serves(folder: Path, id: str) -> bool:
    """Whether another process of that name is alive over this folder. Sweeps away the lock file of one that is not.

    Args:
        id: from wherever; what is no id of ours serves nothing.
    """
    if not ID_PATTERN.fullmatch(id):
        return False
    path = folder / f"{id}.lock"
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        path.unlink(missing_ok=True)
        return False
    finally:
        os.close(descriptor)
