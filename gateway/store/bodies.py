"""Sealed bodies in the store: what a call said, what it was told, and what its reviewers were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.store.actions import OPEN, ROUND

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


class Bodies:
    """Sealed bytes by action and kind: `arguments`, `context` (reason, evidence, preview), `outcome`, `question`."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now

    def put(self, action: str, kind: str, sealed: bytes, *, keep_ms: int | None) -> None:
        """Keep a body; None keeps it until it is given a time."""
        self._execute(
            "INSERT OR REPLACE INTO bodies (action, kind, sealed, expires_at) VALUES (?, ?, ?, ?)",
            (action, kind, sealed, None if keep_ms is None else self._now + keep_ms),
        )

    def get(self, action: str, kind: str) -> bytes | None:
        """A body, while it is kept."""
        row = self._execute(
            "SELECT sealed FROM bodies WHERE action = ? AND kind = ? AND (expires_at IS NULL OR expires_at > ?)",
            (action, kind, self._now),
        ).fetchone()
        return bytes(row["sealed"]) if row else None

    def drop(self, action: str, kind: str) -> None:
        """Forget a body now."""
        self._execute("DELETE FROM bodies WHERE action = ? AND kind = ?", (action, kind))

    def expire(self) -> int:
        """Drop bodies whose time is over, except of actions that are still open. How many."""
        done = self._execute(
            "DELETE FROM bodies WHERE (action, kind) IN (SELECT action, kind"  # noqa: S608 - a constant
            " FROM bodies WHERE expires_at <= ?"
            f" AND action NOT IN (SELECT id FROM actions WHERE {OPEN}) LIMIT ?)",
            (self._now, ROUND),
        )
        return int(done.rowcount)
