"""`resolve`: an operator settles an action whose outcome nobody could find out (semantics.md I-6, I-11)."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, Because, Invocation, keyring_of, opened_store
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.keyring import Keyring
    from gateway.outcome import State
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
    as_name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", help="An operator whose key is kept: the only one, unless given."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Settle an action whose outcome is unknown, after a look into the system of record. It cannot be undone."""
    from gateway.cli.output import emit, say
    from gateway.cli.short_ids import action_id
    from gateway.cli.whoami import kept_key, os_user, signed_in, the_only_kept
    from gateway.model import Kind, Role
    from gateway.outcome import State

    home = Invocation.of(ctx).home()
    keyring = keyring_of(home)
    state = State.SUCCEEDED if happened is Happened.YES else State.FAILED
    with opened_store(home) as store:
        operator = signed_in(store, kept_key(home, as_name or the_only_kept(home, store, Kind.HUMAN, Role.OPERATOR)))
        if Role.OPERATOR not in operator.roles:
            raise HoldgateError(f"{operator.id} does not have the operator role. Use --as with one who does.")
        id = store.look(lambda tx: action_id(tx, home.settings.tenant, action))
        keep_ms = home.settings.limits.keep_answers_hours * 3_600_000
        told = {"how": "operator", "by": f"{os_user()} as {operator.id}", "because": because[:500]}
        row = store.transact(lambda tx: _settle(tx, keyring, id, state, keep_ms, told))
    if json_output:
        emit({"action_id": row.id, "tool": row.tool, "state": str(state)})
    else:
        say(f"{row.id} is {state} now." + ("" if state is State.SUCCEEDED else " The same call may be made again."))


def _settle(tx: Transaction, keyring: Keyring, id: str, state: State, keep_ms: int, told: dict[str, str]) -> ActionRow:
    from gateway.ledger_line import Event
    from gateway.lines import later_facts
    from gateway.outcome import Ended, State
    from gateway.settle import Settlement, did_not_happen

    row = tx.actions.get(id)
    if row is None:
        raise HoldgateError(f"There is no action {id}. See `holdgate ledger unknown`.")
    if state is State.SUCCEEDED:
        seen = "An operator looked into the system of record: it was done. Its answer is not known."
        ended = Ended(State.SUCCEEDED, message=seen)
    else:
        ended = did_not_happen("An operator looked into the system of record: it did not happen.")
    settlement = Settlement(keyring, row, ended, keep_ms=keep_ms)
    facts = later_facts(row, row.principal) | told
    if row.state is not State.UNKNOWN or not settlement.record(tx, row.fence, Event.RECONCILE, **facts):
        raise HoldgateError(
            f"{id} is {row.state}; only an action whose outcome is unknown can be resolved. "
            f"See it with `holdgate ledger show {id}`."
        )
    return row
