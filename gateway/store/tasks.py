"""Tasks in the store (semantics.md I-16)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.model import Task, new_id
from gateway.store.readings import Readings

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


_EXACT_MS = 1_000


class Tasks:
    """The pieces of work of each principal."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now
        self._opened: Readings[int | None] = Readings()
        """When tasks were opened that were seen a moment ago."""

    def implicit(self, tenant: str, principal: str, idle_ms: int) -> Task:
        """The open implicit task of a principal, or a new one after an idle gap. Written down either way."""
        row = self._execute(
            "SELECT id FROM tasks WHERE tenant = ? AND principal = ? AND source = 'implicit' AND seen_at > ?"
            " ORDER BY seen_at DESC LIMIT 1",
            (tenant, principal, self._now - idle_ms),
        ).fetchone()
        task = Task(row["id"] if row else new_id("tsk"), "implicit")
        self.seen(tenant, principal, task)
        return task

    def seen(self, tenant: str, principal: str, task: Task) -> int:
        """Note that a task is alive. Returns when it was opened, in milliseconds since the epoch.

        Written down once a second at most: how long a task has been silent is asked in minutes.
        """
        lately = self._opened.get((tenant, principal, task.id), lambda: self._seen_lately(tenant, principal, task.id))
        if lately is not None:
            return lately
        self._opened.written()
        row = self._execute(
            "INSERT INTO tasks (tenant, principal, id, source, opened_at, seen_at)"
            " VALUES (:tenant, :principal, :id, :source, :now, :now)"
            " ON CONFLICT (tenant, principal, id) DO UPDATE SET seen_at = :now RETURNING opened_at",
            {"tenant": tenant, "principal": principal, "id": task.id, "source": task.source, "now": self._now},
        ).fetchone()
        return int(row["opened_at"])

    def _seen_lately(self, tenant: str, principal: str, id: str) -> int | None:
        row = self._execute(
            "SELECT opened_at FROM tasks WHERE tenant = ? AND principal = ? AND id = ? AND seen_at > ?",
            (tenant, principal, id, self._now - _EXACT_MS),
        ).fetchone()
        return int(row["opened_at"]) if row else None
