"""Admission: claim > hold > budget > intent, in one transaction, out of which comes a permit.

This is the only place where a permit is minted, and it is minted from the intent line that the same transaction
has written (semantics.md L-1, I-6). Everything here is synchronous and runs on the store's writer.
"""

from __future__ import annotations

from dataclasses import dataclass

from gateway import asking, charging, holds, repeats
from gateway.bodies import Body
from gateway.decision import Decision, Verdict
from gateway.errors import HoldgateError, Refusal
from gateway.identify import name_of
from gateway.keyring import Keyring
from gateway.ledger_line import Event
from gateway.lines import facts
from gateway.model import Action, HoldState, Mode, Shown
from gateway.outcome import Outcome, State
from gateway.permit import Permit
from gateway.repeats import Prior
from gateway.replies import held as is_held
from gateway.stops import stopped
from gateway.store.actions import ActionRow
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.telemetry import spans

_LEASE_MARGIN = 15.0
"""Seconds beyond a tool's own timeout before a silent dispatch counts as lost: retries, settling, a slow disk."""


@dataclass(frozen=True, slots=True)
class LookFirst:
    """The call will be held, and its reviewers need a preview: make one, and ask for admission again."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What admission needs to know of the settings. Milliseconds, and counts."""

    repeat_window: int
    pending_holds: int


class Admission:
    """Lets one call through, answers it from an earlier one, holds it, or refuses it.

    Args:
        instance: names this process, so that another can tell whether a dispatch still has an owner.
    """

    def __init__(self, store: Store, keyring: Keyring, instance: str, limits: Limits) -> None:
        self._store = store
        self._keyring = keyring
        self._instance = instance
        self._limits = limits

    async def admit(
        self, action: Action, decision: Decision, shown: Shown | None
    ) -> Permit | Prior | LookFirst | Outcome:
        """Decide the call's fate in one transaction; when this returns, that is on disk.

        Returns:
            A permit: the intent is recorded, go. A prior: an earlier action has the answer. An outcome: held.

        Raises:
            Refusal: already on the ledger.
            LedgerUnavailable: nothing was recorded, so nothing may go out.
        """
        told = self._sealed(action, decision, shown)
        verdict = await self._store.write(lambda tx: self._admit(tx, action, decision, shown, told))
        if isinstance(verdict, Refusal):
            raise verdict
        if decision.charges and isinstance(verdict, Permit) and action.mode is Mode.RUN:
            await charging.measure(self._store, action, decision)
        return verdict

    async def permit_look(self, action: Action) -> Permit:
        """A permit to read what a held write would change, before anybody is asked (semantics.md D-3).

        Raises:
            Refusal: already on the ledger.
        """

        def look(tx: Transaction) -> Permit | Refusal:
            refused = self._stopped(tx, action)
            if refused is not None:
                return self._refuse(tx, action, refused)
            line = tx.ledger.append(Event.PREVIEW, **facts(action), purpose="hold")
            return self._permit(action, Mode.PREVIEW, 1, line.hash)

        verdict = await self._store.write(look)
        if isinstance(verdict, Refusal):
            raise verdict
        return verdict

    async def consume(self, action: Action, decision: Decision, hold_digest: str) -> Permit | None:
        """Spend an approval: APPROVED -> CONSUMED and HELD -> DISPATCHING in the transaction that writes the intent.

        Args:
            hold_digest: recomputed from what would run now; the stored one must be equal (semantics.md S16).

        Returns:
            The permit, or None when somebody else consumed the approval, or it is no longer enough (S15, S19).
        """
        permit = await self._store.write(lambda tx: self._consume(tx, action, decision, hold_digest))
        if decision.charges and permit is not None:
            await charging.measure(self._store, action, decision)
        return permit

    async def retake(self, row: ActionRow, action: Action) -> Permit | None:
        """A permit to send an unanswered write again, with the same upstream key (semantics.md I-8); None: too late."""

        def again(tx: Transaction) -> Permit | None:
            if self._stopped(tx, action) is not None:
                return None
            fence = tx.actions.retake(row.id, instance=self._instance, lease_until=self._lease(tx, action))
            if fence is None:
                return None
            line = tx.ledger.append(Event.INTENT, **facts(action), again=True, fence=fence)
            return self._permit(action, Mode.RUN, fence, line.hash, again=True)

        return await self._store.write(again)

    def look_permit(self, action: Action, line_hash: str) -> Permit:
        """A reading permit for a line that the caller's own transaction has just written (reconciliation)."""
        return self._permit(action, Mode.PREVIEW, 1, line_hash)

    # -- inside the transaction

    def _admit(
        self, tx: Transaction, action: Action, decision: Decision, shown: Shown | None, told: tuple[Body, ...]
    ) -> Permit | Prior | LookFirst | Outcome | Refusal:
        refused = self._stopped(tx, action)
        if refused is not None:
            return self._refuse(tx, action, refused)
        if not asking.is_open(tx, action):
            return self._refuse(tx, action, asking.closed())
        prior = repeats.prior(tx, action, self._window(decision))
        if isinstance(prior, Refusal):
            return self._refuse(tx, action, prior)
        if prior is not None:
            return prior
        opened = tx.tasks.seen(action.principal.tenant, action.principal.id, action.task)
        if action.mode is Mode.PREVIEW:
            return self._intend(tx, action, decision, told, Event.PREVIEW)
        held = decision.verdict is Verdict.HOLD
        charge = charging.lacking if held else charging.reserve
        over = charging.over_time(tx, action, decision, opened) or charge(tx, action, decision)
        if over is not None:
            return self._refuse(tx, action, over)
        if held:
            if shown is None and action.tool.previewer is not None:
                return LookFirst()
            return self._hold(tx, action, decision, shown, told)
        return self._intend(tx, action, decision, told, Event.INTENT)

    def _stopped(self, tx: Transaction, action: Action) -> Refusal | None:
        """Credential and switches, looked at by the very transaction that would let the call out (C-4, T-10)."""
        principal, tool = action.principal, action.tool
        return stopped(
            tx,
            tenant=principal.tenant,
            principal=principal.id,
            key=principal.key_id,
            tool=tool.name,
            connector=tool.connector.name,
        )

    def _window(self, decision: Decision) -> int:
        return self._limits.repeat_window if decision.repeat_window is None else decision.repeat_window * 1000

    def _hold(
        self, tx: Transaction, action: Action, decision: Decision, shown: Shown | None, told: tuple[Body, ...]
    ) -> Outcome | Refusal:
        principal, terms = action.principal, decision.approval
        if terms is None:
            unapprovable = Refusal("not_permitted", "Policy holds this call, and names nobody who may approve it.")
            return self._refuse(tx, action, unapprovable)
        if tx.holds.pending_of(principal.tenant, principal.id) >= self._limits.pending_holds:
            return self._refuse(
                tx,
                action,
                Refusal(
                    "too_many_holds",
                    f"{self._limits.pending_holds} of your actions already wait for a human.",
                    retry_after_ms=60_000,
                ),
            )
        tx.actions.add(action, State.HELD, policy_hash=decision.policy_hash, instance=self._instance)
        for body in told:
            body.keep(tx)
        expires_at = holds.place(tx, action, decision, terms, shown)
        return is_held(action.id, expires_at, decision.message, shown)

    def _consume(self, tx: Transaction, action: Action, decision: Decision, hold_digest: str) -> Permit | None:
        row, hold = tx.actions.get(action.id), tx.holds.get(action.id)
        if row is None or hold is None:
            return None
        refused = self._stopped(tx, action)
        approvers = holds.spendable(tx, action, row, hold, decision, digest=hold_digest, stopped=refused)
        if approvers is None:
            return None
        over = charging.reserve(tx, action, decision)
        if over is not None:
            holds.close(tx, row, HoldState.APPROVED, HoldState.DENIED_AT_EXECUTION, over.code)
            return None
        consumed = tx.holds.move(row.id, HoldState.APPROVED, HoldState.CONSUMED)
        fence = tx.actions.dispatch(
            row.id,
            instance=self._instance,
            lease_until=self._lease(tx, action),
            policy_hash=decision.policy_hash,
        )
        if not consumed or fence is None:
            # `spendable` saw both in this transaction; to raise undoes what was reserved in it, too.
            raise HoldgateError("An approval can be spent, and cannot.")
        tx.ledger.append(
            Event.CONSUMED,
            **facts(action),
            digest=hold.digest,
            approvers=sorted(approver.id for approver in approvers),
            policy_then=row.policy_hash,
            policy_now=decision.policy_hash,
        )
        line = tx.ledger.append(Event.INTENT, **facts(action, decision), fence=fence)
        return self._permit(action, Mode.RUN, fence, line.hash)

    def _intend(
        self, tx: Transaction, action: Action, decision: Decision, told: tuple[Body, ...], event: Event
    ) -> Permit:
        tx.actions.add(
            action,
            State.DISPATCHING,
            policy_hash=decision.policy_hash,
            instance=self._instance,
            lease_until=self._lease(tx, action),
        )
        for body in told:
            body.keep(tx)
        asking.spend(tx, action)
        line = tx.ledger.append(event, **facts(action, decision), fence=1)
        return self._permit(action, action.mode, 1, line.hash)

    def _refuse(self, tx: Transaction, action: Action, refusal: Refusal) -> Refusal:
        tx.ledger.append(
            Event.REFUSED,
            **facts(action),
            code=refusal.code,
            rules=list(refusal.rules) or None,
            original=refusal.action_id,
        )
        return refusal

    def _permit(self, action: Action, mode: Mode, fence: int, line_hash: str, *, again: bool = False) -> Permit:
        return Permit(
            action_id=action.id,
            tool=action.tool.name,
            mode=mode,
            credential=action.tool.connector.credential,
            upstream_key=self._keyring.upstream_key(action.id),
            fence=fence,
            intent=line_hash,
            again=again,
        ).minted()

    def _lease(self, tx: Transaction, action: Action) -> int:
        return tx.now + int((action.tool.timeout + _LEASE_MARGIN) * 1000)

    def _sealed(self, action: Action, decision: Decision, shown: Shown | None) -> tuple[Body, ...]:
        """What the call said, sealed before the transaction begins."""
        arguments = Body.seal(self._keyring, action.id, "arguments", action.arguments)
        if not action.tool.writes and decision.verdict is not Verdict.HOLD:
            return (arguments,)
        # What a reviewer, or a later run, needs beside the arguments: as little as was said.
        context = {
            "reason": action.reason,
            "evidence": list(action.evidence) or None,
            "given": sorted(action.given) if action.given != action.arguments.keys() else None,
            "diff": shown.changes if shown else None,
            "task": name_of(action.task, action.carried) if decision.verdict is Verdict.HOLD else None,
            "asked_in": spans.here(),
        }
        said = {name: value for name, value in context.items() if value is not None}
        return (arguments, Body.seal(self._keyring, action.id, "context", said)) if said else (arguments,)
