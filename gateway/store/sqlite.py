"""SQLite, the embedded store: one transaction at a time, group commit, every commit on disk before it is told.

Concurrent calls share an fsync: whatever has been asked for within a few turns of the event loop runs in one
transaction, and a piece of work that fails undoes only itself. The loop itself does the work, because statements take
microseconds and a second thread would fight it for the interpreter at each of them; only what can take long is left
to a thread: the commit, which waits for the disk, and the wait for another process's transaction. No timer: an idle
gateway commits at once. WAL with synchronous=FULL, because NORMAL may lose acknowledged rows (semantics.md I-6).
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from gateway.errors import LedgerUnavailable
from gateway.store.backfill import Backfill
from gateway.store.clock import Clock, wall_clock
from gateway.store.committer import Committer
from gateway.store.job import Job, Work
from gateway.store.opening import connect, explain, opened
from gateway.store.transaction import ChainSealer, Transaction

T = TypeVar("T")

_MAX_BATCH: Final = 64
"""Pieces of work in one transaction: they hold the event loop for a few milliseconds at most."""
_TURNS: Final = 16
"""Turns of the event loop for which work is gathered, at most. A commit costs as much as ten calls' statements."""
_PATIENCE_MS: Final = 5_000
"""How long another process's transaction is waited for."""


class SqliteStore:
    """The store of one data folder. Several processes may hold it open; the database puts their transactions in line.

    Args:
        path: the database file; made, with its tables, when absent.
        sealer: authenticates the ledger's head with a key that is not in the file.
        clock: tests may turn it.
        patience_ms: how long another program's lock is waited for.

    Raises:
        StartupError: the file cannot be opened, is damaged, or was written by a newer Holdgate.
    """

    def __init__(
        self, path: Path, sealer: ChainSealer, clock: Clock = wall_clock, *, patience_ms: int = _PATIENCE_MS
    ) -> None:
        self.path = path
        self._sealer = sealer
        self._clock = clock
        self._queue: deque[Job[Any]] = deque()
        self._notes: deque[Job[Any]] = deque()
        self._busy = False
        """Whether a batch is under way, so that its end will see to the queue."""
        self._last_batch = 1
        """How many pieces of work it had."""
        self._connection = opened(path)
        self._committer = Committer(self._connection, path, sealer, clock, patience_ms)
        self._reader = connect(path, read_only=True)
        self._watcher = connect(path, read_only=True)
        self._disk = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdgate-disk")
        self._sweeper = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdgate-sweep")
        self._readers = ThreadPoolExecutor(max_workers=1, thread_name_prefix="holdgate-read")
        self._backfill = Backfill(path, self._connection, self._committer.turn, self._sweeper)
        self._closed = False
        self._opened = _identity(path)
        self._replaced = False
        self._seen_version = self._data_version()

    def now(self) -> int:
        """The store's time, in milliseconds since the epoch."""
        return self._clock()

    async def write(self, work: Work[T]) -> T:
        """Run `work` in a transaction; when this returns, what it wrote is on disk.

        Cancelling the caller does not cancel the work. Exceptions of `work` undo only its own writes. It runs on the
        event loop: what walks through many rows belongs into `sweep`. It is run twice when a neighbour in its
        transaction fails, the first time for nothing: so it must change nothing but the database.

        Raises:
            LedgerUnavailable: the database is full, locked, read-only or broken; nothing of `work` was kept.
        """
        self._check_open()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[T] = loop.create_future()
        self._queue.append(Job(work, answer))
        if not self._busy:
            self._busy = True
            self._gather(loop)
        return await answer

    async def sweep(self, work: Work[T]) -> T:
        """`write`, in a thread and a transaction of its own: for housekeeping that walks through rows.

        Raises:
            LedgerUnavailable: as `write`.
        """
        self._check_open()
        result = await asyncio.get_running_loop().run_in_executor(self._sweeper, self.transact, work)
        if not self._closed:
            self._backfill.committed(_MAX_BATCH)
        return result

    def transact(self, work: Work[T]) -> T:
        """`write`, for callers without an event loop (the command line)."""
        self._check_open()
        job = Job(work)
        self._committer.commit_patiently([*self._noted(), job])
        if job.error is not None:
            raise job.error
        return job.result  # type: ignore[return-value] # set whenever there is no error

    async def read(self, work: Work[T]) -> T:
        """Run `work` on a consistent snapshot, without writing.

        Raises:
            LedgerUnavailable: the database cannot be read.
        """
        self._check_open()
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
        self._notes.append(Job(work))

    def changed(self) -> bool:
        """Whether anybody, this process included, has committed since this was last asked.

        It also sees whether the file at the path is still the one that is open. Else nobody would find what is written,
        no stop of an operator would be seen, and all is refused until it is back, or the gateway is started again.
        """
        self._replaced = _identity(self.path) != self._opened
        version = self._data_version()
        changed, self._seen_version = version != self._seen_version, version
        return changed

    def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._closed:
            return
        self._closed = True
        self._sweeper.shutdown()
        self._disk.shutdown()
        while batch := self._taken():
            self._committer.commit_patiently(batch)
            for job in batch:
                job.tell()
        self._readers.shutdown()
        self._backfill.close()
        self._watcher.close()
        self._reader.close()
        self._connection.close()

    @property
    def depth(self) -> int:
        """Pieces of work that wait for a transaction."""
        return len(self._queue)

    def _data_version(self) -> int:
        return int(self._watcher.execute("PRAGMA data_version").fetchone()[0])

    def _check_open(self) -> None:
        if self._closed:
            raise LedgerUnavailable("The gateway is stopping; its ledger is closed.")
        if self._replaced:
            raise LedgerUnavailable("The database was moved or replaced under the running gateway: start it again.")

    def _taken(self) -> list[Job[Any]]:
        """The next batch: what was noted, and then what waits."""
        return self._noted() + [self._queue.popleft() for _ in range(min(len(self._queue), _MAX_BATCH))]

    def _noted(self) -> list[Job[Any]]:
        notes = []
        # Two threads may take them, so that their number is not known beforehand.
        with contextlib.suppress(IndexError):
            while True:
                notes.append(self._notes.popleft())
        return notes

    def _gather(self, loop: asyncio.AbstractEventLoop, turns: int | None = None) -> None:
        """Begin the next batch in a few turns of the loop: in as many as the last one had pieces of work.

        So a gateway with little to do commits at once, and one that is busy lets come along who is about to ask.
        """
        left = min(self._last_batch, _TURNS) if turns is None else turns
        if left:
            loop.call_soon(self._gather, loop, left - 1)
        else:
            self._next_batch(loop)

    def _next_batch(self, loop: asyncio.AbstractEventLoop) -> None:
        """On the event loop: run what waits, and leave the commit to the thread."""
        if self._closed:
            return
        batch = self._taken()
        self._last_batch = len(batch)
        committer = self._committer
        finish = committer.commit if committer.run_at_once(batch) else committer.commit_patiently
        loop.run_in_executor(self._disk, finish, batch).add_done_callback(lambda _: self._told(loop, batch))

    def _told(self, loop: asyncio.AbstractEventLoop, batch: list[Job[Any]]) -> None:
        """On the event loop: what became of the batch, and on to the next, once those who waited have gone on."""
        for job in batch:
            job.tell()
        if self._closed:
            return
        self._backfill.committed(len(batch))
        if self._queue:
            self._gather(loop)
        else:
            self._busy = False


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file it is, whatever its name; None: there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
