"""Sealed bodies in the store: what a call said, what it was told, and what its reviewers were shown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.store.actions import ROUND
from gateway.store.rows import Rows

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


class Bodies:
    """Sealed bytes by action and kind: `arguments`, `context` (reason, evidence, preview), `outcome`, `question`."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now
        self.waiting = Rows(
            connection, "INSERT OR REPLACE INTO bodies (action, kind, sealed, expires_at) VALUES (?, ?, ?, ?)"
        )

    def put(self, action: str, kind: str, sealed: bytes, *, keep_ms: int | None) -> None:
        """Keep a body, to be told for so many milliseconds at most; None: until it goes with the end of its action."""
        self.waiting.add((action, kind, sealed, None if keep_ms is None else self._now + keep_ms))

    def get(self, action: str, kind: str) -> bytes | None:
        """A body, while it is kept."""
        self.waiting.insert()
        row = self._execute(
            "SELECT sealed FROM bodies WHERE action = ? AND kind = ? AND (expires_at IS NULL OR expires_at > ?)",
            (action, kind, self._now),
        ).fetchone()
        return bytes(row["sealed"]) if row else None

    def drop(self, action: str, kind: str) -> None:
        """Forget a body now."""
        self.waiting.insert()
        self._execute("DELETE FROM bodies WHERE action = ? AND kind = ?", (action, kind))

    def expire(self, before: int) -> int:
        """Drop the bodies of actions that ended at `before` (ms) or earlier; what has not ended keeps its own (I-13).

        Returns:
            Of how many actions; with as many as `ROUND` there may be more.
        """
        self.waiting.insert()
        known = self._execute("SELECT upto FROM swept WHERE what = 'bodies'").fetchone()
        # A clock that was set back lets actions end where this has been already.
        after = min(known["upto"], before) if known else 0
        ends = self._execute(
            "SELECT settled_at FROM actions WHERE settled_at > ? AND settled_at <= ? ORDER BY settled_at LIMIT ?",
            (after, before, ROUND),
        ).fetchall()
        upto = ends[-1]["settled_at"] if ends else after
        if known is None or upto != known["upto"]:
            self._execute("INSERT OR REPLACE INTO swept (what, upto) VALUES ('bodies', ?)", (upto,))
        self._execute(
            "DELETE FROM bodies WHERE action IN (SELECT id FROM actions WHERE settled_at > ? AND settled_at <= ?)",
            (after, upto),
        )
        return len(ends)
