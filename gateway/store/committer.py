"""Transactions of one connection, each of a batch of work: run at once on the event loop, or patiently in a thread."""

from __future__ import annotations

import logging
import sqlite3
import threading
from pathlib import Path
from typing import Any

from gateway.errors import HoldgateError, LedgerUnavailable
from gateway.store.clock import Clock
from gateway.store.job import Job
from gateway.store.opening import explain
from gateway.store.transaction import ChainSealer, Transaction

log = logging.getLogger("holdgate.store")


class Committer:
    """Runs batches, one after the other. A piece of work that fails undoes only itself.

    Args:
        connection: nobody else writes on it.
        path: of its database, for what is told of failures.
        patience_ms: how long another process's transaction is waited for.
    """

    def __init__(
        self, connection: sqlite3.Connection, path: Path, sealer: ChainSealer, clock: Clock, patience_ms: int
    ) -> None:
        self._connection = connection
        self._path = path
        self._sealer = sealer
        self._clock = clock
        self._patience_ms = patience_ms
        self.turn = threading.Lock()
        """Held from BEGIN to COMMIT; taken on the event loop and given back by the thread that waited for the disk."""
        connection.execute("PRAGMA busy_timeout=0")

    def run_at_once(self, batch: list[Job[Any]]) -> bool:
        """Run everything up to the commit, unless something stands in the way: then nothing was done, and False.

        Without savepoints: for each of them SQLite copies every page that its work touches. So a piece of work that
        fails undoes its neighbours, too, and they run again in `commit_patiently`, where it fails alone. Another
        process's transaction and a broken disk show there as well, where there is the patience to wait and to tell.
        """
        if not self.turn.acquire(blocking=False):
            return False
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            tx = Transaction(self._connection, self._clock(), self._sealer)
            for job in batch:
                job.result = job.work(tx)
            tx.seal()
        except Exception:  # noqa: BLE001 - whatever it is, it shows again when the batch runs again
            self._leave()
            return False
        return True

    def commit_patiently(self, batch: list[Job[Any]]) -> None:
        """The whole transaction in one go, waiting for others where needed. Not on the event loop."""
        self.turn.acquire()
        try:
            self._connection.execute(f"PRAGMA busy_timeout={self._patience_ms}")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            finally:
                self._connection.execute("PRAGMA busy_timeout=0")
            tx = Transaction(self._connection, self._clock(), self._sealer)
            for job in batch:
                self._run_alone(job, tx)
            tx.seal()
        except Exception as broken:  # noqa: BLE001 - whatever it is, the transaction ends, or all others wait for it
            self._abandon(batch, broken)
        else:
            self.commit(batch)

    def _run_alone(self, job: Job[Any], tx: Transaction) -> None:
        """A piece of work in a savepoint of its own: when it fails, it undoes only itself."""
        execute = self._connection.execute
        execute("SAVEPOINT work")
        head = tx.ledger.unsealed
        try:
            job.result = job.work(tx)
            tx.insert_waiting()
        except sqlite3.Error:
            raise
        except Exception as error:
            tx.drop_waiting()
            execute("ROLLBACK TO work")
            tx.ledger.unsealed = head
            if not isinstance(error, HoldgateError):
                log.error("work_failed", exc_info=error)
            job.error = error
        execute("RELEASE work")

    def commit(self, batch: list[Job[Any]]) -> None:
        """Wait for the disk."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as broken:
            self._abandon(batch, broken)
        else:
            self.turn.release()

    def _abandon(self, batch: list[Job[Any]], broken: Exception) -> None:
        """Tell everybody in the batch that nothing was kept, and why."""
        why = explain(broken, self._path)
        log.error("ledger_unavailable", extra={"why": why})
        self._leave()
        for job in batch:
            job.result, job.error = None, LedgerUnavailable(why)

    def _leave(self) -> None:
        """End the transaction without a trace. A full disk makes SQLite roll back by itself, so there may be none."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            log.exception("rollback_failed")
        finally:
            self.turn.release()
