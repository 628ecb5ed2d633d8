"""SQLite, the embedded store: one writer thread, group commit, every commit on disk before it is told.

Concurrent calls share an fsync: the thread takes whatever is queued, runs each piece of work in its own savepoint,
and commits once. No timer: an idle gateway commits at once. WAL with synchronous=FULL, because NORMAL may lose
acknowledged rows (semantics.md I-6).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import re
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import HoldgateError, LedgerUnavailable, StartupError
from gateway.store.transaction import ChainSealer, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], T]
Clock = Callable[[], int]

SCHEMA_VERSION = 1
_MAX_BATCH = 256
_BUSY_MS = 5_000
log = logging.getLogger("holdgate.store")


def wall_clock() -> int:
    """Milliseconds since the epoch. The store's clock decides every expiry (semantics.md R-1, S18)."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True)
class _Job:
    work: Work[Any]
    future: Future[Any]


class SqliteStore:
    """The store of one data folder. Several processes may hold it open; each writes through its own thread.

    Args:
        path: the database file; made, with its tables, when absent.
        sealer: authenticates the ledger's head with a key that is not in the file.
        clock: milliseconds since the epoch; tests may turn it.

    Raises:
        StartupError: the file cannot be opened, is damaged, or was written by a newer Holdgate.
    """

    def __init__(self, path: Path, sealer: ChainSealer, clock: Clock = wall_clock) -> None:
        self.path = path
        self._sealer = sealer
        self._clock = clock
        self._queue: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._notes: deque[_Job] = deque()
        self._connection = _open(path)
        self._reader = _connect(path, read_only=True)
        self._watcher = _connect(path, read_only=True)
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdgate-read")
        self._closed = False
        self._seen_version = self._data_version()
        self._thread = threading.Thread(target=self._serve, name="holdgate-writer", daemon=True)
        self._thread.start()

    def now(self) -> int:
        """The store's time, in milliseconds since the epoch."""
        return self._clock()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, what it wrote is on disk.

        Cancelling the caller does not cancel the work. Exceptions of `work` undo only its own writes.

        Raises:
            LedgerUnavailable: the database is full, locked, read-only or broken; nothing of `work` was kept.
        """
        return await asyncio.wrap_future(self._submit(work))

    def transact(self, work: Work[T]) -> T:
        """`write`, for callers without an event loop (the command line)."""
        return self._submit(work).result()

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a consistent snapshot, without writing.

        Raises:
            LedgerUnavailable: the database cannot be read.
        """
        return await asyncio.get_running_loop().run_in_executor(self._readers, self.look, work)

    def look(self, work: Work[T]) -> T:
        """`read`, for callers without an event loop; only one thread may use it."""
        try:
            self._reader.execute("BEGIN")
            try:
                return work(Transaction(self._reader, self._clock(), self._sealer))
            finally:
                self._reader.execute("ROLLBACK")
        except sqlite3.Error as broken:
            raise LedgerUnavailable(_explain(broken, self.path)) from broken

    def note(self, work: Work[object]) -> None:
        """Have `work` done by the next transaction, whosever it is, and before it. A crash may lose it."""
        self._notes.append(_Job(work, Future()))

    def changed(self) -> bool:
        """Whether anybody, this process included, has committed since this was last asked."""
        version = self._data_version()
        changed, self._seen_version = version != self._seen_version, version
        return changed

    def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._thread.join()
        self._readers.shutdown()
        self._watcher.close()
        self._reader.close()
        self._connection.close()

    @property
    def depth(self) -> int:
        """Pieces of work that wait for the writer."""
        return self._queue.qsize()

    def _data_version(self) -> int:
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def _submit(self, work: Work[T]) -> Future[T]:
        if self._closed:
            raise LedgerUnavailable("The gateway is stopping; its ledger is closed.")
        future: Future[T] = Future()
        # From now on it cannot be cancelled: a caller who leaves must not stop the work, let alone the writer.
        future.set_running_or_notify_cancel()
        self._queue.put(_Job(work, future))
        return future

    def _serve(self) -> None:
        while (job := self._queue.get()) is not None:
            batch = [*self._taken_notes(), job]
            stop = False
            while len(batch) < _MAX_BATCH:
                try:
                    following = self._queue.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    stop = True
                    break
                batch.append(following)
            self._commit(batch)
            if stop:
                break
        if notes := self._taken_notes():
            self._commit(notes)

    def _taken_notes(self) -> list[_Job]:
        return [self._notes.popleft() for _ in range(len(self._notes))]

    def _commit(self, batch: list[_Job]) -> None:
        done: list[tuple[_Job, Any, BaseException | None]] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for job in batch:
                done.append((job, *self._run(job)))
            self._connection.execute("COMMIT")
        except sqlite3.Error as broken:
            self._abandon()
            log.error("ledger_unavailable", extra={"why": _explain(broken, self.path)})
            unavailable = LedgerUnavailable(_explain(broken, self.path))
            done = [(job, None, unavailable) for job in batch]
        for job, result, error in done:
            if error is None:
                job.future.set_result(result)
            else:
                job.future.set_exception(error)

    def _run(self, job: _Job) -> tuple[Any, BaseException | None]:
        """One piece of work in its own savepoint. A database error is not caught here: it fails the whole batch."""
        self._connection.execute("SAVEPOINT work")
        try:
            result = job.work(Transaction(self._connection, self._clock(), self._sealer))
        except sqlite3.Error:
            raise
        except Exception as error:
            self._connection.execute("ROLLBACK TO work")
            self._connection.execute("RELEASE work")
            if not isinstance(error, HoldgateError):
                log.error("work_failed", exc_info=error)
            return None, error
        self._connection.execute("RELEASE work")
        return result, None

    def _abandon(self) -> None:
        """Leave the broken transaction. A full disk makes SQLite roll back by itself, so there may be none."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("rollback_failed")


def _connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_MS / 1000,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
    if not read_only:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
    return connection


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = _connect(path)
        path.chmod(0o600)
        _migrate(connection, path)
    except (sqlite3.Error, OSError) as broken:
        raise StartupError(_explain(broken, path), file=str(path), remedy=_remedy(broken)) from broken
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        connection.execute("ROLLBACK")
        raise StartupError(
            f"The database was written by a newer Holdgate (schema {version}, this one knows {SCHEMA_VERSION}).",
            file=str(path),
            remedy="Upgrade Holdgate, or restore the back-up made before the upgrade.",
        )
    scripts = sorted(resources.files("gateway.store").joinpath("migrations").iterdir(), key=lambda script: script.name)
    for script in scripts:
        if script.name.endswith(".sql") and int(script.name[:4]) > version:
            for statement in _statements(script.read_text(encoding="utf-8")):
                connection.execute(statement)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """Split a migration at its semicolons; `executescript` would commit behind our back."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines():
        pending += re.sub(r"--.*$", "", line) + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return [statement for statement in statements if statement]


def _explain(broken: Exception, path: Path) -> str:
    code = getattr(broken, "sqlite_errorname", "") or type(broken).__name__
    meanings = {
        "SQLITE_BUSY": "The database is locked by another program.",
        "SQLITE_FULL": "The disk is full: actions cannot be recorded.",
        "SQLITE_READONLY": "The database is read-only.",
        "SQLITE_CANTOPEN": "The database cannot be opened.",
        "SQLITE_CORRUPT": "The database is damaged.",
        "SQLITE_NOTADB": "The file is not a Holdgate database.",
        "SQLITE_IOERR": "The disk reported an error.",
        "PermissionError": "The data folder may not be written to.",
    }
    for name, meaning in meanings.items():
        if code.startswith(name):
            return meaning
    return f"The database cannot be used ({code})."


def _remedy(broken: Exception) -> str:
    code = getattr(broken, "sqlite_errorname", "") or type(broken).__name__
    if code.startswith("SQLITE_BUSY"):
        return "Close the program that has it open (a database browser, a back-up), then start again."
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "Keep the file, restore the last back-up, and run `holdgate ledger verify`."
    if code.startswith("SQLITE_FULL"):
        return "Free some space, then start again; nothing was lost."
    return "Check the folder's owner, permissions and mount, then start again."
