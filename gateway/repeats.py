"""Repeats: which earlier action answers a call, and when its answer no longer stands (semantics.md I-4, I-12, I-15)."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.errors import Refusal
from gateway.ledger_line import Event
from gateway.lines import facts
from gateway.model import Action, Key
from gateway.outcome import State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction


@dataclass(frozen=True, slots=True)
class Prior:
    """An earlier action that answers this call."""

    row: ActionRow


def prior(tx: Transaction, action: Action, window: int) -> Prior | Refusal | None:
    """The action that this call repeats, inside the transaction that would otherwise let it out.

    Args:
        window: milliseconds, from the moment its answer was handed over, in which a keyless call counts as a repeat.

    Returns:
        A refusal when the key belongs to another call, or the outcome is not known; None when the call is new.
    """
    if action.key is None or not tx.actions.may_be_repeat(action):
        return None
    row = _earlier(tx, action, action.key)
    if row is not None and action.key.derived and not _stands(tx, row, window):
        tx.actions.give_back(row.id)
        row = None
    if row is None:
        # A new key means "do it a second time", and whether there was a first nobody knows: not before that is settled.
        doubted = tx.actions.in_doubt(action)
        return _unknown(doubted) if doubted is not None else None
    if row.fingerprint != action.fingerprint and action.key.chosen:
        said = "This idempotency key was used for a call with other arguments."
        return Refusal("key_reused", said, action_id=row.id)
    if row.state is State.UNKNOWN:
        return _unknown(row)
    if not _answer_is_kept(tx, row):
        return Refusal("key_expired", "This key was used before, and its answer is no longer kept.")
    if row.state.terminal:
        tx.ledger.append(Event.REPLAY, **facts(action), original=row.id)
    return Prior(row)


def _stands(tx: Transaction, row: ActionRow, window: int) -> bool:
    """Whether a keyless call is still a repeat of an earlier one: within its window, and while there is an answer."""
    over = row.delivered_at is not None and tx.now - row.delivered_at >= window
    return not over and _answer_is_kept(tx, row)


def _answer_is_kept(tx: Transaction, row: ActionRow) -> bool:
    """Whether the answer of an action can be given again, unless it has none yet."""
    return row.state not in (State.SUCCEEDED, State.FAILED) or tx.bodies.get(row.id, "outcome") is not None


def _unknown(row: ActionRow) -> Refusal:
    said = "The same call was sent before and its outcome is not known yet; it was not sent again."
    return Refusal("outcome_unknown", said, action_id=row.id)


def _earlier(tx: Transaction, action: Action, key: Key) -> ActionRow | None:
    row = tx.actions.claimant(action)
    if row is None and key.derived:
        row = tx.actions.lost(action)
        if row is not None:
            # From here on it is found under this call's key, so that a third call does not pass for a new one.
            tx.actions.adopt(row.id, key.digest)
    return row
