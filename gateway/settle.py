"""How an action ends: one way to write it down, whoever found it out (semantics.md I-6, I-8, I-11)."""

from __future__ import annotations

from typing import Any

from gateway import asking, replies
from gateway.bodies import Body
from gateway.keyring import Keyring
from gateway.ledger_line import Event
from gateway.model import Action, Mode
from gateway.outcome import Ended, State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction


class Settlement:
    """An end that is ready to be written down: its body is sealed before the transaction begins.

    Args:
        about: the action, as it ran or as it was recorded.
        keep_ms: milliseconds for which its answer is kept.

    Attributes:
        outcome: what the caller is told, and every repeat.
    """

    def __init__(self, keyring: Keyring, about: Action | ActionRow, ended: Ended, *, keep_ms: int) -> None:
        self.outcome = replies.ended(about.id, Mode(about.mode), ended)
        self._ended = ended
        self._frees_claim = ended.frees_claim or (ended.state is State.FAILED and about.key_source == "derived")
        self._body = Body.seal(keyring, about.id, "outcome", replies.to_keep(self.outcome))
        self._question = asking.kept(keyring, about.id, ended.asked) if ended.asked is not None else None
        self._keep_ms = keep_ms

    def record(self, tx: Transaction, fence: int, event: Event, *, try_at: int | None = None, **facts: Any) -> bool:
        """State, budget, claim, body and line, in one transaction; an unknown end leaves budget and claim as they are.

        Args:
            try_at: when (ms) an unknown end may be looked into.
            facts: what the line says of the action, and of how it was found out.

        Returns:
            False when another has dispatched or settled it since; then nothing is written.
        """
        ended, id = self._ended, self.outcome.action_id
        if not tx.actions.settle(id, fence, ended.state, code=ended.code, try_at=try_at):
            return False
        body = None
        if ended.state is not State.UNKNOWN:
            self._body.keep(tx, self._keep_ms)
            body = self._body.hash
            (tx.budgets.settle if ended.state is State.SUCCEEDED else tx.budgets.release)(id)
        if self._frees_claim:
            tx.actions.give_back(id)
        if self._question is not None:
            self._question.keep(tx, asking.OPEN_MS)
        how_it_ended = {"status": str(self.outcome.status), "state": str(ended.state), "code": ended.code}
        tx.ledger.append(event, **facts, **how_it_ended, body=body, credential_version=ended.credential_version)
        return True


def did_not_happen(message: str) -> Ended:
    """The end of a write that was found out not to have happened: the same call may run.

    Args:
        message: who looked, and where: one sentence for the agent.
    """
    again = "The same call may be made again, if it is still wanted."
    return Ended(State.FAILED, "upstream_failed", message, next=again, frees_claim=True)
