"""Copies what was committed from the write-ahead log into the database file, beside the work of the gateway."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Final

from gateway.store.opening import connect, explain

log = logging.getLogger("holdgate.store")

_EVERY: Final = 1_024
"""Pieces of work between two copies: about four megabytes of log."""
_LONG: Final = 8_000
"""Pages of log (of 4 KiB) from which commits wait until all of it is copied: the next one then begins it anew."""
_PATIENCE_MS: Final = 100
"""How long another program's transaction is waited for, while the commits of this one wait as well."""
_TOO_LONG: Final = 64_000
"""Pages from which a commit copies it itself, where the copies beside it fail: it must not grow for ever."""


class Backfill:
    """Keeps the log short.

    Left to itself SQLite copies the log in the very commit that made it long, and all calls of that commit wait for
    it: some milliseconds, a dozen times a second. A copy beside the commits keeps none of them waiting.

    Args:
        writer: the connection whose commits are relieved of it.
        turn: held from the beginning of each transaction of `writer` to its end.
        thread: where the copying is done.
    """

    def __init__(self, path: Path, writer: sqlite3.Connection, turn: Lock, thread: Executor) -> None:
        self._path = path
        self._turn = turn
        self._thread = thread
        self._connection = connect(path)
        self._reader = connect(path)
        self._reader.execute(f"PRAGMA busy_timeout={_PATIENCE_MS}")
        self._pieces = 0
        self._under_way = False
        writer.execute(f"PRAGMA wal_autocheckpoint={_TOO_LONG}")

    def committed(self, pieces: int) -> None:
        """So many pieces of work more are in the log."""
        self._pieces += pieces
        if self._pieces >= _EVERY and not self._under_way:
            self._pieces, self._under_way = 0, True
            self._thread.submit(self._copy)

    def close(self) -> None:
        """When the thread has ended."""
        self._reader.close()
        self._connection.close()

    def _copy(self) -> None:
        try:
            if self._copied() > _LONG:
                # Of other programs, too: a single commit meanwhile, and there is more to copy. Who waits here for the
                # turn is woken, and who waits for another program asks time and again: so both.
                with self._turn:
                    self._copied(alone=True)
        except sqlite3.Error as broken:
            # Nothing is lost by it: the log holds what was committed, and is copied the next time, or by a commit.
            log.warning("log_not_copied", extra={"why": explain(broken, self._path)})
        finally:
            self._under_way = False

    def _copied(self, *, alone: bool = False) -> int:
        """Copy what was committed before now. How many pages the log has. Nobody commits meanwhile if `alone`."""
        with self._reading("BEGIN IMMEDIATE" if alone else "BEGIN"):
            _, pages, _ = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        return int(pages)

    @contextmanager
    def _reading(self, begin: str) -> Iterator[None]:
        """While somebody reads in the log, no commit begins it anew; where there is nothing to copy, nothing is.

        A copy that begins as a commit does that takes the new log for the old one, in SQLite before 3.51.3, and a
        later copy leaves out what it holds: https://sqlite.org/wal.html#walresetbug. Programs that share a data folder
        can come to that.
        """
        self._reader.execute(begin)
        try:
            self._reader.execute("PRAGMA user_version").fetchone()
            yield
        finally:
            self._reader.execute("ROLLBACK")
