"""Actions in the store: claims, states and leases (semantics.md I-6, I-8)."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from gateway.model import Action, Effect, Mode, Principal
from gateway.outcome import State

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


@dataclass(frozen=True, slots=True)
class ActionRow:
    """An action as recorded. Times are milliseconds since the epoch."""

    id: str
    tenant: str
    principal: str
    api_key: str
    tool: str
    effect: str
    mode: str
    task: str
    task_source: str
    on_behalf_of: str | None
    key_digest: bytes | None
    key_source: str | None
    fingerprint: bytes
    schema_hash: str
    policy_hash: str
    state: State
    code: str | None
    fence: int
    instance: str
    lease_until: int | None
    tries: int
    delivered_at: int | None
    received_at: int
    settled_at: int | None

    def belongs_to(self, principal: Principal) -> bool:
        """Whether the principal made this call: all of somebody else's is to look like nothing (semantics.md T-5)."""
        return (self.tenant, self.principal) == (principal.tenant, principal.id)

    @property
    def delivered(self) -> bool:
        """Whether the answer that tells its end was handed over whole (semantics.md I-15)."""
        return self.delivered_at is not None


ROUND = 500
"""Rows that one round of housekeeping drops at most, so that it never holds up the writer."""
OPEN = "settled_at IS NULL"
"""Of an action that is dispatching, unknown or held, and in the very words of the index of open actions: SQLite takes
it only for a query that says the same, and walks through all that was ever done for one that merely implies it."""
_AMONG_OPEN = f"SELECT * FROM actions WHERE {OPEN}"  # noqa: S608 - a constant
# By digest, whatever SQLite would guess: among all that the principal ever did there may be millions of rows.
_CLAIMED = "FROM actions INDEXED BY actions_claim WHERE tenant = ? AND principal = ? AND tool = ? AND key_digest = ?"
_UNDELIVERED = (
    "FROM actions INDEXED BY actions_lost WHERE tenant = ? AND principal = ? AND twin = ?"
    " AND delivered_at IS NULL AND effect = 'write' AND mode = 'run'"
)
_COLUMNS = tuple(field.name for field in fields(ActionRow))


class Actions:
    """The life of actions."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now

    def add(
        self,
        action: Action,
        state: State,
        *,
        policy_hash: str,
        instance: str,
        lease_until: int | None = None,
    ) -> None:
        """Record a new action, and claim its key in the same stroke.

        Raises:
            sqlite3.IntegrityError: another action holds the claim; look with `claimant` first, in the same transaction.
        """
        principal, task, tool = action.principal, action.task, action.tool
        # By position: SQLite looks a name up among all the others, each time.
        self._execute(
            "INSERT INTO actions (id, tenant, principal, api_key, tool, effect, mode, task, task_source, on_behalf_of,"
            " key_digest, key_source, fingerprint, twin, schema_hash, policy_hash, state, fence, instance,"
            " lease_until, received_at, settled_at, updated_at)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)",
            (
                action.id,
                principal.tenant,
                principal.id,
                principal.key_id,
                tool.name,
                str(tool.effect),
                str(action.mode),
                task.id,
                task.source,
                principal.on_behalf_of,
                action.key.digest if action.key else None,
                action.key_source,
                action.fingerprint,
                action.twin,
                tool.schema_hash,
                policy_hash,
                str(state),
                instance,
                lease_until,
                self._now,
                self._now if state.terminal else None,
                self._now,
            ),
        )

    def get(self, id: str) -> ActionRow | None:
        """One action, whoever made it; the caller checks who may see it."""
        return self._one("SELECT * FROM actions WHERE id = ?", (id,))

    def may_be_repeat(self, action: Action) -> bool:
        """Whether `claimant`, `lost` or `in_doubt` may find anything: one look for all three, as most calls are new."""
        if action.key is None:
            return False
        scope = (action.principal.tenant, action.principal.id)
        row = self._execute(
            f"SELECT EXISTS (SELECT 1 {_CLAIMED}) OR EXISTS (SELECT 1 {_UNDELIVERED})",
            (*scope, action.tool.name, action.key.digest, *scope, action.twin),
        ).fetchone()
        return bool(row[0])

    def claimant(self, action: Action) -> ActionRow | None:
        """The action that holds this action's key, in its scope (semantics.md I-2)."""
        if action.key is None:
            return None
        principal = action.principal
        return self._one(f"SELECT * {_CLAIMED}", (principal.tenant, principal.id, action.tool.name, action.key.digest))

    def lost(self, action: Action) -> ActionRow | None:
        """The newest identical write of the same piece of work whose answer was never handed over (semantics.md I-15).

        Work that nobody named ends with a connection or a pause, and so does an answer: such tasks count as one.
        """
        return self._one(
            f"SELECT * {_UNDELIVERED} AND key_source = 'derived' AND key_digest IS NOT NULL"
            " AND (task = ? OR (? AND task_source IN ('implicit', 'session'))) ORDER BY received_at DESC LIMIT 1",
            (action.principal.tenant, action.principal.id, action.twin, action.task.id, action.task.unnamed),
        )

    def in_doubt(self, action: Action) -> ActionRow | None:
        """An identical write of this principal whose outcome is unknown, under whatever key and task."""
        return self._one(
            f"SELECT * {_UNDELIVERED} AND state = 'unknown' LIMIT 1",
            (action.principal.tenant, action.principal.id, action.twin),
        )

    def adopt(self, id: str, key_digest: bytes) -> None:
        """Let an action claim another key: the one by which its repeats are found from now on."""
        self._execute("UPDATE actions SET key_digest = ? WHERE id = ?", (key_digest, id))

    def give_back(self, id: str) -> None:
        """Free an action's claim, so that the same key may run again."""
        self._execute("UPDATE actions SET key_digest = NULL WHERE id = ?", (id,))

    def of(self, tenant: str, principal: str, *, state: str | None = None, limit: int = 20) -> list[ActionRow]:
        """A principal's newest actions."""
        rows = self._execute(
            "SELECT * FROM actions WHERE tenant = :tenant AND principal = :principal"
            " AND (:state IS NULL OR state = :state) ORDER BY received_at DESC LIMIT :limit",
            {"tenant": tenant, "principal": principal, "state": state, "limit": limit},
        )
        return [_row(row) for row in rows]

    def dispatch(self, id: str, *, instance: str, lease_until: int, policy_hash: str) -> int | None:
        """HELD -> DISPATCHING, once. The new fencing token, or None when it was held no more (semantics.md H-3)."""
        return self._move(id, "held", State.DISPATCHING, instance, lease_until, policy_hash)

    def retake(self, id: str, *, instance: str, lease_until: int) -> int | None:
        """UNKNOWN -> DISPATCHING, to send again with the same upstream key (semantics.md I-8)."""
        return self._move(id, "unknown", State.DISPATCHING, instance, lease_until, None)

    def _move(
        self, id: str, source: str, to: State, instance: str, lease_until: int, policy_hash: str | None
    ) -> int | None:
        row = self._execute(
            "UPDATE actions SET state = :to, fence = fence + 1, instance = :instance, lease_until = :lease,"
            " policy_hash = COALESCE(:policy, policy_hash), updated_at = :now"
            " WHERE id = :id AND state = :source RETURNING fence",
            {
                "id": id,
                "source": source,
                "to": str(to),
                "instance": instance,
                "lease": lease_until,
                "policy": policy_hash,
                "now": self._now,
            },
        ).fetchone()
        return int(row["fence"]) if row else None

    def settle(self, id: str, fence: int, state: State, *, code: str | None, try_at: int | None = None) -> bool:
        """Record how an action ended. Only the holder of the newest fencing token may, and never over a final state.

        A late outcome may settle an UNKNOWN that the sweep declared meanwhile (semantics.md I-8, S10).

        Args:
            try_at: when an UNKNOWN may be looked into, unless it was before, and that was put off to another moment.
        """
        done = self._execute(
            "UPDATE actions SET state = ?1, code = ?2, lease_until = NULL, updated_at = ?3,"
            " try_at = CASE WHEN ?1 = 'unknown' AND tries > 0 THEN try_at ELSE ?4 END,"
            " settled_at = CASE WHEN ?1 = 'unknown' THEN NULL ELSE ?3 END"
            " WHERE id = ?5 AND fence = ?6 AND state IN ('dispatching', 'unknown')",
            (str(state), code, self._now, try_at, id, fence),
        )
        return bool(done.rowcount)

    def refuse_held(self, id: str, code: str) -> bool:
        """HELD -> REFUSED: its hold ended without an execution."""
        done = self._execute(
            "UPDATE actions SET state = 'refused', code = ?, settled_at = ?, updated_at = ?"
            " WHERE id = ? AND state = 'held'",
            (code, self._now, self._now, id),
        )
        return bool(done.rowcount)

    def overdue(self) -> list[ActionRow]:
        """Dispatches whose lease has run out."""
        return self._many(f"{_AMONG_OPEN} AND state = 'dispatching' AND lease_until <= ?", (self._now,))

    def dispatching(self) -> list[ActionRow]:
        """Every dispatch under way, of any process."""
        return self._many(f"{_AMONG_OPEN} AND state = 'dispatching'", ())

    def unsettled(self) -> list[ActionRow]:
        """Every action whose outcome is unknown."""
        return self._many(f"{_AMONG_OPEN} AND state = 'unknown' ORDER BY received_at", ())

    def awaited(self) -> dict[str, int]:
        """Of the unknown outcomes those that a gateway still finds out by itself, and when (ms) it tries next."""
        rows = self._execute(
            f"SELECT id, try_at FROM actions WHERE {OPEN} AND state = 'unknown' AND try_at IS NOT NULL"  # noqa: S608 - a constant
        )
        return {row["id"]: row["try_at"] for row in rows}

    def unknown(self) -> tuple[int, int]:
        """How many outcomes are unknown, and when the oldest of those calls was received (0: there is none)."""
        row = self._execute(
            "SELECT COUNT(*) AS n, COALESCE(MIN(received_at), 0) AS since FROM actions"  # noqa: S608 - a constant
            f" WHERE {OPEN} AND state = 'unknown'"
        ).fetchone()
        return int(row["n"]), int(row["since"])

    def due(self) -> list[ActionRow]:
        """Unknown outcomes that may be looked up, or sent again, now."""
        return self._many(
            f"{_AMONG_OPEN} AND state = 'unknown' AND try_at IS NOT NULL AND try_at <= ? ORDER BY try_at LIMIT 100",
            (self._now,),
        )

    def try_again(self, id: str, try_at: int | None) -> None:
        """Count a reconciliation attempt; None leaves the action to an operator."""
        self._execute("UPDATE actions SET tries = tries + 1, try_at = ? WHERE id = ?", (try_at, id))

    def delivered(self, ids: list[str], at: int) -> None:
        """These answers were handed over whole, at `at` (ms). One that told of no end yet is still owed its outcome."""
        for id in ids:
            self._execute(
                "UPDATE actions SET delivered_at = ? WHERE id = ? AND delivered_at IS NULL AND settled_at IS NOT NULL",
                (at, id),
            )

    def forget(self, before: int) -> int:
        """Drop tombstones of settled actions older than `before`; UNKNOWN never expires (semantics.md I-13)."""
        oldest = "SELECT id FROM actions WHERE settled_at < ? ORDER BY settled_at LIMIT ?"
        done = self._execute(f"DELETE FROM actions WHERE id IN ({oldest})", (before, ROUND))  # noqa: S608 - a constant
        return int(done.rowcount)

    def _one(self, sql: str, parameters: tuple[Any, ...]) -> ActionRow | None:
        row = self._execute(sql, parameters).fetchone()
        return _row(row) if row else None

    def _many(self, sql: str, parameters: tuple[Any, ...]) -> list[ActionRow]:
        return [_row(row) for row in self._execute(sql, parameters)]


def _row(row: Any) -> ActionRow:
    values = {name: row[name] for name in _COLUMNS}
    return ActionRow(**{**values, "state": State(row["state"])})


def is_write(row: ActionRow) -> bool:
    """Whether the action could change the system of record."""
    return row.effect == Effect.WRITE and row.mode == Mode.RUN
