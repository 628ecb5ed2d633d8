"""The gateway's own tools: how an agent learns what became of a call, and takes a held one back (semantics.md H-9)."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from gateway import holds, replies
from gateway.decision import Rate
from gateway.errors import LedgerUnavailable, Refusal
from gateway.executor import Executor
from gateway.keyring import Keyring
from gateway.model import Call, HoldState, Mode, Principal, new_id
from gateway.outcome import Outcome, State, Status
from gateway.replies import rfc3339
from gateway.store.actions import ActionRow
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.throttle import Throttle, everything_of
from gateway.tools import own_tools
from gateway.tools.arguments import validate


class FollowUp:
    """Answers `get_action`, `list_my_actions` and `cancel_action`, about the caller's own actions only."""

    def __init__(
        self, store: Store, keyring: Keyring, executor: Executor, throttle: Throttle, principal_rate: Rate
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._executor = executor
        self._throttle = throttle
        self._principal_rate = principal_rate
        self._changed = asyncio.Event()

    def changed(self) -> None:
        """Wake everybody who waits for an action."""
        self._changed.set()
        self._changed = asyncio.Event()

    async def handle(self, call: Call) -> Outcome:
        """Answer one call. These tools have no effect outside the gateway, so policy does not restrict them."""
        principal = call.principal
        try:
            self._throttle.admit([everything_of(principal, self._principal_rate)])
            match arguments := validate(own_tools.INPUTS[call.tool], call.tool, call.arguments):
                case own_tools.GetAction():
                    return await self._get(principal, arguments)
                case own_tools.ListMyActions():
                    return await self._list(principal, arguments)
                case own_tools.CancelAction():
                    return await self._cancel(principal, arguments.action_id)
        except Refusal as refusal:
            return replies.refused(refusal, new_id("act"))
        except LedgerUnavailable as down:
            return replies.not_recorded(down, new_id("act"))
        raise AssertionError(call.tool)

    async def _get(self, principal: Principal, asked: own_tools.GetAction) -> Outcome:
        until = time.monotonic() + asked.wait_seconds
        while True:
            changed = self._changed
            outcome = _unless_refused(await self._store.read(lambda tx: self._standing(tx, principal, asked.action_id)))
            left = until - time.monotonic()
            if outcome.status not in (Status.HELD, Status.RUNNING, Status.UNKNOWN) or left <= 0:
                return outcome
            under_way = self._executor.running(asked.action_id)
            waits: list[asyncio.Future[Any]] = [asyncio.ensure_future(changed.wait())]
            if under_way is not None:
                waits.append(under_way)
            await asyncio.wait(waits, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waits[0].cancel()

    def _standing(self, tx: Transaction, principal: Principal, action_id: str) -> Outcome | Refusal:
        row = _own(tx, principal, action_id)
        return row if isinstance(row, Refusal) else replies.standing(tx, self._keyring, row)

    async def _list(self, principal: Principal, asked: own_tools.ListMyActions) -> Outcome:
        def look(tx: Transaction) -> list[dict[str, Any]]:
            rows = tx.actions.of(principal.tenant, principal.id, state=asked.state, limit=asked.limit)
            return [_listed(tx, row) for row in rows]

        listed = await self._store.read(look)
        data = own_tools.ListedActions.model_validate({"actions": listed})
        return Outcome(Status.DONE, new_id("act"), data=data.model_dump(mode="json", exclude_none=True))

    async def _cancel(self, principal: Principal, action_id: str) -> Outcome:
        def cancel(tx: Transaction) -> Outcome | Refusal:
            row = _own(tx, principal, action_id)
            if isinstance(row, Refusal):
                return row
            cancelled = row.state is State.HELD and (
                holds.close(tx, row, HoldState.PENDING, HoldState.CANCELLED, "hold_cancelled", by=principal.id)
                or holds.close(tx, row, HoldState.APPROVED, HoldState.CANCELLED, "hold_cancelled", by=principal.id)
            )
            if not cancelled:
                return Refusal("not_cancellable", f"The action is {row.state} already.", action_id=row.id)
            return Outcome(Status.DONE, row.id, message="Cancelled; it will not run.")

        return _unless_refused(await self._store.write(cancel))


def _own(tx: Transaction, principal: Principal, action_id: str) -> ActionRow | Refusal:
    """The caller's own action; somebody else's looks exactly like none (semantics.md S39, V-9)."""
    row = tx.actions.get(action_id)
    if row is None or not row.belongs_to(principal):
        return Refusal("action_not_found", "You have no action of that id.")
    return row


def _unless_refused(verdict: Outcome | Refusal) -> Outcome:
    """Raise here what a transaction refused: work that raises inside of it makes its neighbours run again."""
    if isinstance(verdict, Refusal):
        raise verdict
    return verdict


def _listed(tx: Transaction, row: ActionRow) -> dict[str, Any]:
    hold = tx.holds.get(row.id) if row.state is State.HELD else None
    return {
        "action_id": row.id,
        "tool": row.tool,
        "state": str(row.state),
        "created_at": rfc3339(row.received_at),
        "expires_at": rfc3339(hold.expires_at) if hold else None,
        "dry_run": True if row.mode == Mode.PREVIEW else None,
        "message": row.code,
    }
