"""SQLite, the embedded store: one writer thread, group commit, every commit on disk before it is told.

Concurrent calls share an fsync: the thread takes whatever is queued, runs each piece of work in its own savepoint,
and commits once. No timer: an idle gateway commits at once. WAL with synchronous=FULL, because NORMAL may lose
acknowledged rows (semantics.md I-6).
"""

from __future__ import annotations

import asyncio
import logging
import queue
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from gateway.errors import HoldgateError, LedgerUnavailable
from gateway.store.opening import connect, explain, opened
from gateway.store.transaction import ChainSealer, Transaction

T = TypeVar("T")
Work = Callable[[Transaction], T]
Clock = Callable[[], int]

_MAX_BATCH = 256
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
        self._connection = opened(path)
        self._reader = connect(path, read_only=True)
        self._watcher = connect(path, read_only=True)
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
            raise LedgerUnavailable(explain(broken, self.path)) from broken

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
            log.error("ledger_unavailable", extra={"why": explain(broken, self.path)})
            unavailable = LedgerUnavailable(explain(broken, self.path))
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
