"""A call that ended with a question, and the one that goes on with the answers (semantics.md Q-3, Q-4).

What was answered so far is kept here, sealed, and not by the client: the state that the client carries only names the
action that asked. The call that goes on is a call like any other, and spends the question in the transaction that
admits it.
"""

from __future__ import annotations

import json
from typing import Any, Final

from gateway.bodies import Body, opened
from gateway.errors import Refusal
from gateway.keyring import Keyring
from gateway.model import Action, Asked, Call, Resumed
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction

OPEN_MS: Final = 600_000
"""How long a question can be answered."""
MAX_ANSWERS: Final = 16 * 1024
"""Bytes of all answers of one call, as JSON."""


def kept(keyring: Keyring, action_id: str, asked: Asked) -> Body:
    """The question, sealed."""
    content = {"asked": list(asked.questions), "answers": dict(asked.answers), "round": asked.round}
    return Body.seal(keyring, action_id, "question", content)


async def resumed(store: Store, keyring: Keyring, call: Call, action: Action) -> Resumed | None:
    """What `action` goes on from; None when it is a call from the start. Answers to what was not asked are left out.

    Raises:
        Refusal: `question_closed`: there is no such question of this caller, tool and arguments, or it was answered;
            `invalid_answer`: there is too much of it.
    """
    asking = call.continues
    if asking is None:
        return None

    def look(tx: Transaction) -> dict[str, Any] | None:
        row = tx.actions.get(asking)
        same = row is not None and row.belongs_to(action.principal) and row.fingerprint == action.fingerprint
        return opened(tx, keyring, asking, "question") if same else None

    question = await store.read(look)
    if question is None:
        raise closed()
    answers = question["answers"] | {name: call.answers[name] for name in question["asked"] if name in call.answers}
    try:
        text = json.dumps(answers, ensure_ascii=False, sort_keys=True)
        size = len(text.encode())
    except UnicodeEncodeError:
        raise Refusal("invalid_answer", "The answers hold text that is no Unicode.") from None
    if size > MAX_ANSWERS:
        raise Refusal("invalid_answer", f"The answers take {size} bytes, and {MAX_ANSWERS} are allowed.")
    return Resumed(asking, answers, question["round"], keyring.claim("answers", text))


def is_open(tx: Transaction, action: Action) -> bool:
    """Whether the question that `action` answers can still be answered, if it answers one."""
    return action.resumed is None or tx.bodies.get(action.resumed.action_id, "question") is not None


def spend(tx: Transaction, action: Action) -> None:
    """Let nobody answer that question again."""
    if action.resumed is not None:
        tx.bodies.drop(action.resumed.action_id, "question")


def closed() -> Refusal:
    """The same for every reason: what was asked of others is not told (semantics.md T-5)."""
    return Refusal("question_closed", "There is no open question that this call could answer.")
