"""What happens without a caller: approvals are executed, time runs out, and unknown outcomes are found out.

One loop, woken by changes of the store and by the clock. Everything it does is a compare-and-set, so that several
processes may run it over one data folder.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable

from gateway import holds, retention
from gateway.admission import Admission
from gateway.connector import Found
from gateway.decision import Decision, Verdict
from gateway.errors import CredentialUnavailable, LedgerUnavailable, Refusal, UpstreamError
from gateway.executor import Executor, can_be_told
from gateway.floods import Floods
from gateway.instances import Instance
from gateway.keyring import Keyring
from gateway.ledger.checkpoint import Checkpointer
from gateway.ledger_line import Event
from gateway.lines import facts, later_facts
from gateway.model import Action, HoldState
from gateway.outcome import Ended, State
from gateway.permit import Permit
from gateway.pipeline import Pipeline
from gateway.policy.live import LivePolicy
from gateway.recall import Lapsed, recall
from gateway.returned import declared
from gateway.settle import Settlement, did_not_happen
from gateway.store.actions import ActionRow, is_write
from gateway.store.holds import HoldRow
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics
from gateway.telemetry.spans import later
from gateway.tools.catalogue import Catalogue

log = logging.getLogger("holdgate.reconcile")

_TICK = 0.25
"""Seconds between two looks at whether the store has changed."""
_HOUSEKEEPING = 2.0
"""Seconds between two sweeps, and before a held action whose preview failed is tried again."""
_MAX_TRIES = 6
_BACKOFF_MS = 2_000
_KEYS_ARE_REMEMBERED_MS = 12 * 3_600_000
"""How long after its first use an upstream is trusted to know an idempotency key; common ones keep it for a day."""
_ORPHANED_WRITE = Ended(State.UNKNOWN, "outcome_unknown", "It was sent, and no answer came back.")
_ORPHANED_READ = Ended(State.FAILED, "upstream_failed", "The gateway stopped before the answer came.")


class Reconciler:
    """The gateway's own hand.

    Args:
        on_change: awaited whenever the store has changed.
        keep_bodies: milliseconds for which the answers are kept of what was found out here.
    """

    def __init__(
        self,
        *,
        store: Store,
        keyring: Keyring,
        catalogue: Catalogue,
        policy: LivePolicy,
        pipeline: Pipeline,
        admission: Admission,
        executor: Executor,
        floods: Floods,
        instance: Instance,
        checkpointer: Checkpointer,
        on_change: Callable[[], Awaitable[None]],
        keep_bodies: int,
    ) -> None:
        self._store = store
        self._keyring = keyring
        self._catalogue = catalogue
        self._policy = policy
        self._pipeline = pipeline
        self._admission = admission
        self._executor = executor
        self._floods = floods
        self._instance = instance
        self._checkpointer = checkpointer
        self._on_change = on_change
        self._keep_bodies = keep_bodies
        self._patience: dict[str, float] = {}
        """Per hold whose preview failed: not before this moment again."""

    async def run(self) -> None:
        """Until cancelled. A store that is down is waited for; nothing is guessed meanwhile."""
        swept = 0.0
        while True:
            try:
                if self._store.changed():
                    await self._on_change()
                    await self.execute_approved()
                if time.monotonic() - swept >= _HOUSEKEEPING:
                    swept = time.monotonic()
                    await self.sweep()
            except LedgerUnavailable as down:
                log.error("ledger_unavailable", extra={"why": str(down)})
            except Exception as broken:  # one bad record must not stop expiries and approvals for good
                log.error("reconcile_failed", exc_info=broken)
            await asyncio.sleep(_TICK)

    async def sweep(self) -> None:
        """One round of everything that time does."""
        await self._store.sweep(self._expire)
        await self._store.sweep(self._orphans)
        await self.execute_approved()
        for row in await self._store.read(lambda tx: tx.actions.due()):
            if not self._may_still_be_sending(row):
                self._executor.own(row.id, self._find_out(row))
        await retention.forget(self._store, keep_bodies=self._keep_bodies)
        await self._floods.tell()
        note = await self._store.sweep(self._checkpointer.make)
        if note is not None:
            self._checkpointer.publish(note)

    async def execute_approved(self) -> None:
        """Run what humans have approved (semantics.md H-10)."""
        for hold in await self._store.read(lambda tx: tx.holds.approved()):
            if self._executor.running(hold.action) or self._patience.get(hold.action, 0.0) > time.monotonic():
                continue
            self._executor.own(hold.action, self._execute(hold))

    async def _execute(self, hold: HoldRow) -> None:
        """One approved hold, and what may keep it from running."""
        try:
            await self._recall_and_execute(hold)
        except Refusal as refusal:
            metrics.refused(None, refusal.code)
            await self._close(hold, HoldState.DENIED_AT_EXECUTION, refusal.code)
        except (UpstreamError, CredentialUnavailable) as failed:
            log.warning("approved_action_waits", extra={"action": hold.action, "why": str(failed)})
            self._patience[hold.action] = time.monotonic() + _HOUSEKEEPING
        except Exception as broken:  # nobody awaits this task, so what breaks in it is told here
            log.error("approved_action_failed", exc_info=broken, extra={"action": hold.action})
            self._patience[hold.action] = time.monotonic() + _HOUSEKEEPING

    async def _recall_and_execute(self, hold: HoldRow) -> None:
        row = await self._store.read(lambda tx: tx.actions.get(hold.action))
        if row is None or row.state is not State.HELD:
            return
        action = await self._store.read(lambda tx: recall(tx, self._keyring, self._catalogue, row))
        if isinstance(action, Lapsed):
            to = HoldState.STALE if action.code == "hold_stale" else HoldState.DENIED_AT_EXECUTION
            await self._close(hold, to, action.code)
            return
        with later("execute", action):
            await self._execute_recalled(hold, row, action)

    async def _execute_recalled(self, hold: HoldRow, row: ActionRow, action: Action) -> None:
        """Look again, decide again, consume, run (semantics.md H-3, H-4)."""
        shown = None
        if action.tool.previewer is not None:
            shown = await self._executor.show(action, await self._admission.permit_look(action))
            if shown.witness != hold.witness:
                await self._close(hold, HoldState.STALE, "hold_stale")
                return
        # Last, and not before the look, which may take as long as the upstream likes: by then policy may be another.
        decision = self._policy.current.decide(await self._pipeline.inquiry(action, row.received_at))
        permit = await self._admission.consume(action, decision, holds.digest(action, shown, row.policy_hash))
        if permit is not None:
            await self._executor.run(action, permit)

    async def _close(self, hold: HoldRow, to: HoldState, code: str) -> None:
        def end(tx: Transaction) -> None:
            row = tx.actions.get(hold.action)
            if row is not None:
                holds.close(tx, row, HoldState.APPROVED, to, code)

        await self._store.write(end)

    def _expire(self, tx: Transaction) -> None:
        for hold in tx.holds.overdue():
            row = tx.actions.get(hold.action)
            if row is not None:
                holds.close(tx, row, hold.state, HoldState.EXPIRED, "hold_expired")

    def _orphans(self, tx: Transaction) -> None:
        """A dispatch without an owner becomes UNKNOWN, never a second dispatch (semantics.md I-8). Reads just fail."""
        overdue = {row.id for row in tx.actions.overdue()}
        for row in tx.actions.dispatching():
            if row.id not in overdue and self._instance.alive(row.instance):
                continue
            write = is_write(row)
            ended = _ORPHANED_WRITE if write else _ORPHANED_READ
            tool = self._catalogue.tools.get(row.tool)
            try_at = tx.now if write and tool is not None and can_be_told(tool) else None
            how = "its process ended" if row.id not in overdue else "its lease ran out"
            told = later_facts(row, row.principal)
            settlement = Settlement(self._keyring, row, ended, keep_ms=self._keep_bodies)
            if settlement.record(tx, row.fence, Event.RECONCILE, try_at=try_at, **told, how=how):
                if write:
                    metrics.became_unknown(row.tool if tool else metrics.UNKNOWN_TOOL, "orphaned")
                log.warning("orphaned", extra={"action": row.id, "tool": row.tool, "state": str(ended.state)})

    async def _find_out(self, row: ActionRow) -> None:
        """Ask the upstream what became of an unknown write, or send it again where that is safe."""
        try:
            await self._ask(row)
        except Exception as broken:  # nobody awaits this task, so what breaks in it is told here
            log.error("cannot_be_found_out", exc_info=broken, extra={"action": row.id})

    async def _ask(self, row: ActionRow) -> None:
        action = await self._store.read(lambda tx: recall(tx, self._keyring, self._catalogue, row))
        if isinstance(action, Action) and action.tool.looker is not None:
            with later("look_up", action):
                await self._look_up(row, action)
        elif isinstance(action, Action) and await self._store.read(lambda tx: _still_deduplicated(tx, row, action)):
            with later("send_again", action):
                await self._send_again(row, action)
        else:
            await self._store.write(lambda tx: tx.actions.try_again(row.id, None))
            log.error("operator_needed", extra={"action": row.id, "tool": row.tool})

    def _may_still_be_sending(self, row: ActionRow) -> bool:
        """Whether somebody lives who may yet send it or hear of it: it finds out itself, and is not overtaken.

        A lease that ran out does not prove the contrary: the clock may have leaped, or its process may be stopped.
        """
        if row.instance == self._instance.id:
            return self._executor.running(row.id) is not None
        return self._instance.alive(row.instance)

    async def _send_again(self, row: ActionRow, action: Action) -> None:
        await self._store.write(lambda tx: tx.actions.try_again(row.id, tx.now + _backoff(row.tries)))
        decision = self._policy.current.decide(await self._pipeline.inquiry(action, row.received_at))
        if not await self._store.read(lambda tx: _still_allowed(tx, row, decision)):
            return
        permit = await self._admission.retake(row, action)
        if permit is not None:
            await self._executor.run(action, permit)

    async def _look_up(self, row: ActionRow, action: Action) -> None:
        def note(tx: Transaction) -> Permit:
            line = tx.ledger.append(Event.PREVIEW, **facts(action), purpose="lookup")
            later = tx.now + _backoff(row.tries) if row.tries < _MAX_TRIES else None
            tx.actions.try_again(row.id, later)
            return self._admission.look_permit(action, line.hash)

        permit = await self._store.write(note)
        sent_at = await self._store.read(lambda tx: _intents(tx, row)[-1])
        asked_at = self._store.now()
        found = await self._executor.look_up(action, permit)
        ended = _ended(action, found, waited=asked_at - sent_at)
        if ended is not None:
            await self._executor.settle(action, row.fence, ended, seconds=0.0, how="lookup")
        elif row.tries >= _MAX_TRIES:
            log.error("operator_needed", extra={"action": row.id, "tool": row.tool})


def _ended(action: Action, found: Found, *, waited: int) -> Ended | None:
    """What a look tells; None when it tells nothing yet.

    Args:
        waited: milliseconds from the sending to the look; not from the call, which may have waited for its approval.
    """
    if found.state == "done" and found.output is not None:
        return Ended(State.SUCCEEDED, data=declared(action.tool, found.output))
    if found.state == "not_done" and waited >= (action.tool.timeout + action.tool.settles_after) * 1000:
        return did_not_happen("It was looked up in the system of record: it did not happen.")
    return None


def _intents(tx: Transaction, row: ActionRow) -> list[int]:
    """When the action was about to be sent, each time, in milliseconds since the epoch; never empty."""
    at = [int(json.loads(line.text)["at"]) for line in tx.ledger.lines(action=row.id, event=Event.INTENT)]
    return at or [row.received_at]


def _still_deduplicated(tx: Transaction, row: ActionRow, action: Action) -> bool:
    """Whether sending it again is safe: under a key that the upstream honours, and has not forgotten by now."""
    if action.tool.idempotency_header is None or row.tries >= _MAX_TRIES:
        return False
    return tx.now - _intents(tx, row)[0] < _KEYS_ARE_REMEMBERED_MS


def _still_allowed(tx: Transaction, row: ActionRow, decision: Decision) -> bool:
    """Whether policy lets it out today: nobody knows that it left before (semantics.md S17, V-3)."""
    if decision.verdict is not Verdict.HOLD:
        return decision.verdict is Verdict.ALLOW
    hold, terms = tx.holds.get(row.id), decision.approval
    if hold is None or terms is None:
        return False
    return holds.satisfied(terms, holds.eligible_approvers(tx, row, hold, terms))


def _backoff(tries: int) -> int:
    return int(_BACKOFF_MS * 2 ** min(tries, 6))
