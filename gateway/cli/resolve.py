"""`resolve`: an operator settles an action whose outcome nobody could find out (semantics.md I-6, I-11)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.invocation import AsJson, Because, Invocation, keyring_of, opened_store
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.keyring import Keyring
    from gateway.model import State
    from gateway.store.actions import ActionRow
    from gateway.store.transaction import Transaction


class Happened(StrEnum):
    """What the operator found in the system of record."""

    YES = "yes"
    NO = "no"


def resolve(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="Its id, or the beginning of it.")],
    happened: Annotated[Happened, typer.Option("--happened", help="Whether the record shows the effect.")],
    because: Because,
    as_name: Annotated[str, typer.Option("--as", metavar="NAME", help="An operator whose key is kept.")] = "operator",
    json_output: AsJson = False,
) -> None:
    """Settle an action whose outcome is unknown, after a look into the system of record. It cannot be undone."""
    from gateway.cli.output import emit, say
    from gateway.cli.short_ids import action_id
    from gateway.cli.whoami import kept_key, os_user, signed_in
    from gateway.model import Role, State

    home = Invocation.of(ctx).home()
    keyring = keyring_of(home)
    state = State.SUCCEEDED if happened is Happened.YES else State.FAILED
    with opened_store(home) as store:
        operator = signed_in(store, kept_key(home, as_name))
        if Role.OPERATOR not in operator.roles:
            raise HoldgateError(f"{operator.id} does not have the operator role. Use --as with one who does.")
        id = store.look(lambda tx: action_id(tx, home.settings.tenant, action))
        keep = home.settings.limits.keep_answers_hours * 3_600_000
        verdict = _Verdict(state, f"{os_user()} as {operator.id}", because[:500], keep)
        row = store.transact(lambda tx: _settle(tx, keyring, id, verdict))
    if json_output:
        emit({"action_id": row.id, "tool": row.tool, "state": str(state)})
    else:
        say(f"{row.id} is {state} now." + ("" if state is State.SUCCEEDED else " The same call may be made again."))


_EMPTY: dict[str, Any] = {"data": None, "diff": None, "code": None, "next": None}
"""What a kept answer has in any case."""


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What an operator found, and who says so."""

    state: State
    by: str
    because: str
    keep_ms: int

    def kept(self) -> dict[str, Any]:
        """The answer that the caller and every repeat get from now on."""
        from gateway.model import State, Status

        if self.state is State.SUCCEEDED:
            message = "An operator looked into the system of record: it was done. Its answer is not known."
            return _EMPTY | {"status": str(Status.DONE), "message": message}
        message = "An operator looked into the system of record: it did not happen."
        return _EMPTY | {
            "status": str(Status.FAILED),
            "code": "upstream_failed",
            "message": message,
            "next": "The same call may be made again, if it is still wanted.",
        }


def _settle(tx: Transaction, keyring: Keyring, id: str, verdict: _Verdict) -> ActionRow:
    import hashlib

    from gateway.model import Event, State

    row = tx.actions.get(id)
    if row is None:
        raise HoldgateError(f"There is no action {id}.")
    kept = verdict.kept()
    code = kept["code"]
    if row.state is not State.UNKNOWN or not tx.actions.settle(id, row.fence, verdict.state, code=code):
        raise HoldgateError(
            f"{id} is {row.state}; only an action whose outcome is unknown can be resolved. "
            f"See it with `holdgate ledger show {id}`."
        )
    sealed = keyring.seal(id, "outcome", json.dumps(kept).encode())
    tx.bodies.put(id, "outcome", sealed, keep_ms=verdict.keep_ms)
    if verdict.state is State.SUCCEEDED:
        tx.budgets.settle(id)
    else:
        tx.budgets.release(id)
        tx.actions.give_back(id)
    tx.ledger.append(
        Event.RECONCILE,
        action=row.id,
        tenant=row.tenant,
        principal=row.principal,
        tool=row.tool,
        task=row.task,
        effect=row.effect,
        mode=row.mode,
        state=str(verdict.state),
        status=kept["status"],
        code=code,
        body=hashlib.sha256(sealed).hexdigest(),
        how="operator",
        by=verdict.by,
        because=verdict.because,
    )
    return row
