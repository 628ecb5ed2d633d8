"""Kill switches in the store: a row is a stop in force (semantics.md T-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from gateway.store.transaction import Connection

Scope = Literal["everything", "agent", "tool", "connector"]


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop in force."""

    scope: str
    target: str
    stopped_by: str
    because: str
    stopped_at: int


class Switches:
    """Stops of one tenant. The transaction that admits a call looks here, so a stop holds from its own commit on."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now

    def stop(self, tenant: str, scope: Scope, target: str, *, by: str, because: str) -> None:
        """Refuse what matches, until `resume`."""
        self._execute(
            "INSERT OR REPLACE INTO switches (tenant, scope, target, stopped_by, because, stopped_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (tenant, scope, target, by, because, self._now),
        )

    def resume(self, tenant: str, scope: Scope, target: str) -> bool:
        """Lift a stop. False when there was none."""
        done = self._execute(
            "DELETE FROM switches WHERE tenant = ? AND scope = ? AND target = ?", (tenant, scope, target)
        )
        return bool(done.rowcount)

    def all(self, tenant: str) -> list[Stop]:
        """The stops in force."""
        rows = self._execute(
            "SELECT scope, target, stopped_by, because, stopped_at FROM switches WHERE tenant = ? ORDER BY stopped_at",
            (tenant,),
        )
        return [Stop(**dict(row)) for row in rows]

    def stopping(self, tenant: str, principal: str, tool: str, connector: str) -> Stop | None:
        """The first stop that covers this call, if any."""
        row = self._execute(
            "SELECT scope, target, stopped_by, because, stopped_at FROM switches WHERE tenant = ?"
            " AND (scope = 'everything' OR (scope = 'agent' AND target = ?)"
            " OR (scope = 'tool' AND target = ?) OR (scope = 'connector' AND target = ?)) LIMIT 1",
            (tenant, principal, tool, connector),
        ).fetchone()
        return Stop(**dict(row)) if row else None
