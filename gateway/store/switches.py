"""Kill switches in the store: a row is a stop in force (semantics.md T-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.store.readings import Readings

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

    def covers(self, principal: str, tool: str, connector: str) -> bool:
        """Whether a call of `tool`, which is `connector`'s, by `principal` is stopped by it."""
        if self.scope == "everything":
            return True
        return self.target == {"agent": principal, "tool": tool, "connector": connector}.get(self.scope)


class Switches:
    """Stops of one tenant. The transaction that admits a call looks here, so a stop holds from its own commit on."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now
        self._in_force: Readings[list[Stop]] = Readings()

    def stop(self, tenant: str, scope: Scope, target: str, *, by: str, because: str) -> None:
        """Refuse what matches, until `resume`."""
        self._in_force.written()
        self._execute(
            "INSERT OR REPLACE INTO switches (tenant, scope, target, stopped_by, because, stopped_at)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (tenant, scope, target, by, because, self._now),
        )

    def resume(self, tenant: str, scope: Scope, target: str) -> bool:
        """Lift a stop. False when there was none."""
        self._in_force.written()
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
        """The oldest stop that covers this call, if any."""
        for stop in self._in_force.get(tenant, lambda: self.all(tenant)):
            if stop.covers(principal, tool, connector):
                return stop
        return None
