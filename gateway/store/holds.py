"""Holds and votes in the store; every transition is a compare-and-set (semantics.md H-2)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.model import HoldState

if TYPE_CHECKING:
    from gateway.store.transaction import ChainSealer, Connection


@dataclass(frozen=True, slots=True)
class HoldRow:
    """A hold as recorded. Times are milliseconds since the epoch."""

    action: str
    tenant: str
    state: HoldState
    digest: str
    terms: str
    witness: str
    created_at: int
    expires_at: int
    execute_by: int | None


@dataclass(frozen=True, slots=True)
class VoteRow:
    """One human's word on one hold. Only what this gateway has sealed is read from the store."""

    action: str
    voter: str
    verdict: str
    digest: str
    note: str
    cast_at: int


class Holds:
    """Questions to humans, and their answers."""

    def __init__(self, connection: Connection, now: int, sealer: ChainSealer) -> None:
        self._execute = connection.execute
        self._now = now
        self._sealer = sealer

    def add(self, action: str, tenant: str, *, digest: str, terms: str, witness: str, expires_at: int) -> None:
        """Ask."""
        self._execute(
            "INSERT INTO holds (action, tenant, state, digest, terms, witness, created_at, expires_at)"
            " VALUES (?, ?, 'pending', ?, ?, ?, ?, ?)",
            (action, tenant, digest, terms, witness, self._now, expires_at),
        )

    def get(self, action: str) -> HoldRow | None:
        """The hold of an action."""
        row = self._execute("SELECT * FROM holds WHERE action = ?", (action,)).fetchone()
        return _row(row) if row else None

    def move(self, action: str, source: HoldState, to: HoldState, *, execute_by: int | None = None) -> bool:
        """One transition, if the hold still stands at `source`."""
        done = self._execute(
            "UPDATE holds SET state = :to, execute_by = :execute_by WHERE action = :action AND state = :source",
            {"to": str(to), "execute_by": execute_by, "action": action, "source": str(source)},
        )
        return bool(done.rowcount)

    def renew(self, action: str, terms: str) -> None:
        """Put stricter terms on a hold that went back to its voters; its digest and expiry stay."""
        self._execute("UPDATE holds SET terms = ? WHERE action = ?", (terms, action))

    def all(self, tenant: str, state: HoldState | None = None, limit: int = 100) -> list[HoldRow]:
        """Holds of a tenant, oldest first."""
        rows = self._execute(
            "SELECT * FROM holds WHERE tenant = :tenant AND (:state IS NULL OR state = :state)"
            " ORDER BY created_at LIMIT :limit",
            {"tenant": tenant, "state": str(state) if state else None, "limit": limit},
        )
        return [_row(row) for row in rows]

    def approved(self) -> list[HoldRow]:
        """Holds that wait for their execution."""
        # The first condition is the index's own: see `actions.OPEN`.
        rows = self._execute(
            "SELECT * FROM holds WHERE state IN ('pending', 'approved') AND state = 'approved' ORDER BY created_at"
        )
        return [_row(row) for row in rows]

    def overdue(self) -> list[HoldRow]:
        """Pending past their expiry, or approved past their execution window."""
        rows = self._execute(
            "SELECT * FROM holds WHERE state IN ('pending', 'approved')"
            " AND ((state = 'pending' AND expires_at <= :now) OR (state = 'approved' AND execute_by <= :now))",
            {"now": self._now},
        )
        return [_row(row) for row in rows]

    def waiting(self) -> dict[HoldState, tuple[int, int]]:
        """For votes and for their execution: how many holds wait, and since when the oldest of them has."""
        rows = self._execute(
            "SELECT state, COUNT(*) AS n, MIN(created_at) AS since FROM holds"
            " WHERE state IN ('pending', 'approved') GROUP BY state"
        )
        found = {HoldState(row["state"]): (int(row["n"]), int(row["since"])) for row in rows}
        return {state: found.get(state, (0, 0)) for state in (HoldState.PENDING, HoldState.APPROVED)}

    def pending_of(self, tenant: str, principal: str) -> int:
        """How many questions of one principal are open (semantics.md H-13)."""
        row = self._execute(
            "SELECT COUNT(*) AS n FROM holds h WHERE h.state IN ('pending', 'approved') AND h.state = 'pending'"
            " AND h.tenant = ?"
            " AND (SELECT a.principal FROM actions a WHERE a.id = h.action) = ?",
            (tenant, principal),
        ).fetchone()
        return int(row["n"])

    def vote(self, action: str, tenant: str, voter: str, verdict: str, *, digest: str, note: str) -> None:
        """Record a vote; a voter's later word replaces the earlier one."""
        self._execute(
            "INSERT OR REPLACE INTO votes (action, tenant, voter, verdict, digest, note, cast_at, mac)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (action, tenant, voter, verdict, digest, note, self._now, self._seal(action, voter, verdict, digest)),
        )

    def votes(self, action: str) -> list[VoteRow]:
        """The votes on one hold. A row that somebody wrote past this gateway is no vote (semantics.md H-3)."""
        rows = self._execute(
            "SELECT action, voter, verdict, digest, note, cast_at, mac FROM votes WHERE action = ? ORDER BY cast_at",
            (action,),
        )
        votes = ((VoteRow(*tuple(row)[:-1]), row["mac"]) for row in rows)
        return [
            vote
            for vote, mac in votes
            if hmac.compare_digest(mac, self._seal(vote.action, vote.voter, vote.verdict, vote.digest))
        ]

    def _seal(self, *vote: str) -> str:
        return self._sealer(0, hashlib.sha256("\0".join(vote).encode()).hexdigest())


def _row(row: Any) -> HoldRow:
    return HoldRow(**{**dict(row), "state": HoldState(row["state"])})
