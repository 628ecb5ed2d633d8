"""Rows that are inserted all at once: to call a statement takes as long as to run it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


class Rows:
    """Rows for one table, until somebody looks for them or their transaction ends.

    Args:
        sql: inserts one of them.
    """

    def __init__(self, connection: Connection, sql: str) -> None:
        self._connection = connection
        self._sql = sql
        self._waiting: list[tuple[Any, ...]] = []

    def add(self, row: tuple[Any, ...]) -> None:
        """Have a row inserted after all that were added before it."""
        self._waiting.append(row)

    def insert(self) -> None:
        """Insert what waits."""
        if self._waiting:
            rows, self._waiting = self._waiting, []
            self._connection.executemany(self._sql, rows)

    def drop(self) -> None:
        """Forget what waits: the work that added it is undone."""
        self._waiting.clear()
