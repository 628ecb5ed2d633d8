"""What an agent is told: of a refusal, a failure, and of an action as it is recorded (replays, `get_action`)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from gateway.bodies import opened
from gateway.decision import BudgetCharge, Decision, Verdict
from gateway.errors import CODES, LedgerUnavailable, Refusal
from gateway.keyring import Keyring
from gateway.model import Action, HoldState, Mode, Shown, Task
from gateway.outcome import Ended, Outcome, Retry, State, Status
from gateway.policy.notation import spoken
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from gateway.wording import counted

_REFUSALS = {
    "hold_denied": "A reviewer denied this action.",
    "hold_expired": "The action waited for a human, and its time ran out.",
    "hold_cancelled": "The action was cancelled while it waited for a human.",
    "hold_stale": "The record changed between the preview and the execution, so the approval no longer held.",
    "not_permitted": "Policy had changed when the approval came, and no longer allows this.",
    "switched_off": "An operator had stopped this when the approval came.",
    "over_budget": "The budget was used up when the approval came.",
}


def standing(tx: Transaction, keyring: Keyring, row: ActionRow) -> Outcome:
    """How an action stands now."""
    match row.state:
        case State.HELD:
            return _held(tx, keyring, row)
        case State.DISPATCHING:
            return running(row.id)
        case State.UNKNOWN:
            return _coded(Status.UNKNOWN, row.id, "outcome_unknown", "It was sent, and no answer came back.")
        case State.REFUSED:
            code = row.code if row.code in CODES else "not_permitted"
            message = _REFUSALS.get(code, "The action was refused when it was to be executed.")
            return _coded(Status.REFUSED, row.id, code, message)
        case State.SUCCEEDED | State.FAILED:
            return _kept(tx, keyring, row)


def replay(tx: Transaction, keyring: Keyring, row: ActionRow, key_source: str | None) -> Outcome:
    """The first answer again, marked as such (semantics.md I-4, I-12)."""
    first = standing(tx, keyring, row)
    if not row.state.terminal:
        return first
    derived = key_source == "derived"
    said = "This has already been " + ("done" if row.state is State.SUCCEEDED else "answered")
    message = f"{said}, by action {row.id}." + (f" {first.message}" if first.message else "")
    again = "To do it a second time on purpose, pass a new idempotency_key." if derived else None
    return Outcome(
        Status.REPLAYED,
        row.id,
        data=first.data,
        diff=first.diff,
        code=first.code,
        message=message,
        next=again or first.next,
        retry=Retry.CHANGED if first.is_error else None,
        original_status=first.status,
        key_source=key_source,
        content=first.content,
    )


def running(action_id: str) -> Outcome:
    """Still under way."""
    code = CODES["in_flight"]
    return Outcome(
        Status.RUNNING,
        action_id,
        code=code.name,
        message="The call is still running.",
        next=f"Call get_action with action_id {action_id}; do not repeat the call.",
        retry=code.retry,
        retry_after_ms=2_000,
    )


def refused(refusal: Refusal, action_id: str) -> Outcome:
    """A refusal as an answer."""
    return Outcome(
        Status.UNKNOWN if refusal.code == "outcome_unknown" else Status.REFUSED,
        refusal.action_id or action_id,
        code=refusal.code,
        message=refusal.message,
        next=refusal.next,
        retry=refusal.retry,
        retry_after_ms=refusal.retry_after_ms,
        rules=refusal.rules,
    )


def over_budget(charge: BudgetCharge, used: int, task: Task, decision: Decision) -> Refusal:
    """The refusal of a call that costs more than is left of a budget (semantics.md R-5).

    Args:
        used: of `charge.limit`; more than it where a policy has lowered the limit since.
    """
    per = " per task" if charge.per_task else ""
    within = "" if charge.window is None else f" in {spoken(charge.window)}"
    needed, budget = _priced(charge.amount, charge), f"{_priced(charge.limit, charge)}{per}{within}"
    return Refusal(
        "over_budget",
        f"This needs {needed}, and the budget of {budget} has {max(charge.limit - used, 0)} left.",
        next=_exceeded(decision, task if charge.per_task else None),
        rules=(charge.budget,),
    )


def over_time(seconds: int, task: Task, decision: Decision) -> Refusal:
    """The refusal of a call whose task has gone on for longer than `seconds`."""
    return Refusal("over_budget", f"This task has run for more than {spoken(seconds)}.", next=_exceeded(decision, task))


def failed(code: str, message: str, action_id: str) -> Outcome:
    """A failure as an answer; nothing was done."""
    return _coded(Status.FAILED, action_id, code, message)


def not_recorded(down: LedgerUnavailable, action_id: str) -> Outcome:
    """What cannot be recorded is not done."""
    return replace(failed("ledger_unavailable", str(down), action_id), retry_after_ms=1_000)


def ended(action_id: str, mode: Mode, how: Ended) -> Outcome:
    """The answer to a call that ran, and to every repeat of it."""
    if how.state is State.SUCCEEDED and mode is Mode.PREVIEW:
        return Outcome(
            Status.PREVIEWED,
            action_id,
            diff=(how.data or {})["changes"],
            message="Nothing was changed. This is what the call would do now, from a verified read of the record.",
            next="To do it, make the same call without dry_run.",
        )
    if how.state is State.SUCCEEDED:
        return Outcome(Status.DONE, action_id, data=how.data, code=how.code, message=how.message, content=how.content)
    code = CODES[how.code or "internal_error"]
    without_effect = Status.ASKED if how.asked is not None else Status.FAILED
    return Outcome(
        Status.UNKNOWN if how.state is State.UNKNOWN else without_effect,
        action_id,
        code=code.name,
        message=how.message,
        next=how.next or code.next,
        retry=code.retry,
        retry_after_ms=how.retry_after_ms,
        asks=how.asked.questions if how.asked is not None else {},
        lacks=how.lacks,
    )


def unrecorded(action: Action) -> Outcome:
    """It ran, and how it ended could not be written down: a write is unknown to everybody, a read is not answered."""
    if action.tool.writes and action.mode is Mode.RUN:
        said = "The call was sent, but its outcome could not be recorded."
        return _coded(Status.UNKNOWN, action.id, "outcome_unknown", said)
    said = "The answer could not be recorded, so it is not handed over."
    return _coded(Status.FAILED, action.id, "ledger_unavailable", said)


def to_keep(outcome: Outcome) -> dict[str, Any]:
    """What of an outcome is stored, for `_kept` to read."""
    return {
        "status": str(outcome.status),
        "data": outcome.data,
        "diff": outcome.diff,
        "code": outcome.code,
        "message": outcome.message,
        "next": outcome.next,
        "content": outcome.content,
    }


def foretold(outcome: Outcome, decision: Decision) -> Outcome:
    """A preview of a call that would be held says so, so that nobody is surprised by a human."""
    if outcome.status is not Status.PREVIEWED or decision.verdict is not Verdict.HOLD:
        return outcome
    message = f"Nothing was changed; this is what the call would do. {decision.message}"
    return replace(outcome, message=message, next="To ask for it, make the same call without dry_run.")


def broken(action: Action) -> Outcome:
    """The gateway itself failed. Of a write nobody may say that it did not happen."""
    writes = action.tool.writes and action.mode is Mode.RUN
    said = "The gateway failed" + ("; it may or may not have been done." if writes else "; nothing was changed.")
    return _coded(Status.UNKNOWN if writes else Status.FAILED, action.id, "internal_error", said)


def _priced(amount: int, charge: BudgetCharge) -> str:
    return counted(amount, "call") if charge.unit == "calls" else f"{amount} {charge.unit}"


def _exceeded(decision: Decision, task: Task | None) -> str:
    """What the policy wants of an agent that has used up a budget, with what a human should know of a task's budget.

    That the client names no task is for whoever set it up to mend (I-16), and no way out for the agent.
    """
    then = "Stop here and tell the user." if decision.on_exceeded == "stop" else CODES["over_budget"].next
    if task is None or not task.unnamed:
        return then
    whole = "its whole session is" if task.source == "session" else "all that it calls without a long silence is"
    return (
        f"{then} Whoever set up this client should know that it names no task, in the header `Holdgate-Task` or in"
        f" `_meta`, so that {whole} one task with one budget."
    )


def _held(tx: Transaction, keyring: Keyring, row: ActionRow) -> Outcome:
    hold = tx.holds.get(row.id)
    if hold is None:
        return running(row.id)
    if hold.state is HoldState.APPROVED:
        return Outcome(
            Status.HELD,
            row.id,
            code="approval_needed",
            message="It was approved and is about to be executed.",
            next=f"Call get_action with action_id {row.id} again.",
            expires_at=rfc3339(hold.execute_by or hold.expires_at),
        )
    context = opened(tx, keyring, row.id, "context") or {}
    diff = context.get("diff")
    shown = Shown(diff, "", "") if diff is not None else None
    return held(row.id, hold.expires_at, "This action waits for a human's decision.", shown)


def _kept(tx: Transaction, keyring: Keyring, row: ActionRow) -> Outcome:
    kept = opened(tx, keyring, row.id, "outcome")
    status = Status.DONE if row.state is State.SUCCEEDED else Status.FAILED
    if kept is None:
        return Outcome(status, row.id, code=row.code, message="The answer itself is no longer kept.")
    code = CODES.get(kept["code"] or "")
    return Outcome(
        Status(kept["status"]),
        row.id,
        data=kept["data"],
        diff=kept["diff"],
        code=kept["code"],
        message=kept["message"],
        next=kept["next"],
        content=tuple(kept.get("content", ())),
        retry=code.retry if code and status is Status.FAILED else None,
    )


def _coded(status: Status, action_id: str, code: str, message: str) -> Outcome:
    known = CODES[code]
    return Outcome(status, action_id, code=code, message=message, next=known.next, retry=known.retry)


def held(action_id: str, expires_at: int, message: str, shown: Shown | None) -> Outcome:
    """The answer to a call that waits for a human (semantics.md H-9)."""
    return Outcome(
        status=Status.HELD,
        action_id=action_id,
        diff=shown.changes if shown else None,
        code="approval_needed",
        message=message,
        next=f"Nothing was done yet. A human has been asked. Call get_action with action_id {action_id}; do not repeat"
        " the call.",
        expires_at=rfc3339(expires_at),
    )


def rfc3339(milliseconds: int) -> str:
    """A store time as text, in UTC."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
