"""`approvals`: humans decide on held calls, with or without a server (semantics.md H)."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from gateway.cli.inert import inert
from gateway.cli.invocation import AsJson, AsName, ExitCode, Invocation, catalogue_of, keyring_of, opened_store
from gateway.errors import HoldgateError, StartupError

if TYPE_CHECKING:
    from gateway.cli.card import Card
    from gateway.holds import Vote
    from gateway.keyring import Keyring
    from gateway.model import Principal
    from gateway.settings import Home
    from gateway.store.actions import ActionRow
    from gateway.store.holds import HoldRow
    from gateway.store.sqlite import SqliteStore
    from gateway.store.transaction import Transaction
    from gateway.tool import Tool

KEY_VARIABLE = "HOLDGATE_APPROVER_KEY"

app = typer.Typer(no_args_is_help=True, help="Decide on held calls.")

Id = Annotated[str, typer.Argument(metavar="ID", help="The action's id, or the beginning of it.")]
Note = Annotated[str, typer.Option("--note", metavar="TEXT", help="A word for the record; the agent is not shown it.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show personal values too.")]


@app.command("ls")
def ls(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are decided or over.")] = False,
    json_output: AsJson = False,
) -> None:
    """Show the calls that wait for a human, oldest first."""
    from gateway.cli.output import emit, say, table
    from gateway.model import HoldState

    home = Invocation.of(ctx).home()
    keyring, tools = keyring_of(home), _tools(home)

    def look(tx: Transaction) -> list[dict[str, object]]:
        state = None if everything else HoldState.PENDING
        return [_listed(tx, hold, keyring, tools) for hold in tx.holds.all(home.settings.tenant, state, limit=_MANY)]

    with opened_store(home) as store:
        found = store.look(look)
    if json_output:
        emit(found)
    elif not found:
        say("Nothing waits for approval.")
    else:
        columns = ("action_id", "tool", "arguments", "requested_by", "state", "left", "needs", "approved_by")
        table(columns, ([_cell(hold[name]) for name in columns] for hold in found))


def _listed(tx: Transaction, hold: HoldRow, keyring: Keyring, tools: Mapping[str, Tool]) -> dict[str, object]:
    """A hold, as a list of them shows it."""
    from gateway.cli.output import moment, time_left
    from gateway.holds import terms_from_json
    from gateway.model import HoldState

    row, waits = tx.actions.get(hold.action), hold.state is HoldState.PENDING
    factors = terms_from_json(hold.terms).factors
    return {
        "action_id": hold.action,
        "tool": row.tool if row else None,
        "arguments": _asked(tx, row, keyring, tools) if row and waits else None,
        "requested_by": row.principal if row else None,
        "state": str(hold.state),
        "created_at": moment(hold.created_at),
        "expires_at": moment(hold.expires_at),
        "left": time_left(hold.expires_at - tx.now) if waits else None,
        "approved_by": [vote.voter for vote in tx.holds.votes(hold.action) if vote.verdict == "approve"],
        "needs": " + ".join(f"{factor.count} of {'/'.join(factor.groups)}" for factor in factors),
    }


def _asked(tx: Transaction, row: ActionRow, keyring: Keyring, tools: Mapping[str, Tool]) -> dict[str, Any]:
    """A call's arguments, the personal ones masked: all of them, where nobody knows which those are."""
    from gateway.bodies import opened
    from gateway.cli.card import MASK

    arguments = opened(tx, keyring, row.id, "arguments") or {}
    masked = tools[row.tool].sensitive if row.tool in tools else arguments
    return {name: MASK if name in masked else value for name, value in arguments.items()}


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return inert(" ".join(f"{name}={value[name]}" for name in value), fold=_ARGUMENTS)
    return ", ".join(value) if isinstance(value, list) else value


def _tools(home: Home) -> Mapping[str, Tool]:
    """The tools, which say what of their arguments is personal; none, when they do not load."""
    try:
        return catalogue_of(home).tools
    except StartupError:
        return {}


_MANY = 100_000
_ARGUMENTS = 80
"""Characters that tell one held call from another in a list; the card has all."""


@app.command("show")
def show(ctx: typer.Context, id: Id, reveal: Reveal = False, json_output: AsJson = False) -> None:
    """Show the approval card of a call. Long texts are folded, personal ones masked."""
    from gateway.cli import card as cards
    from gateway.cli.output import console, emit

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        card = _card(home, store, id)
    masked = frozenset() if reveal else cards.sensitive_in(home, card)
    if json_output:
        emit(cards.as_json(card, masked))
    else:
        cards.print_card(console(), card, masked, whole=reveal)


@app.command("approve")
def approve(
    ctx: typer.Context,
    id: Id,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask: the card was read before.")] = False,
    digest: Annotated[
        str | None,
        typer.Option(
            "--digest", metavar="DIGEST", help="Only if this is still the digest, from `approvals show --json`."
        ),
    ] = None,
    note: Note = "",
    as_name: AsName = None,
    json_output: AsJson = False,
) -> None:
    """Show a call whole, personal values too, and approve it. The key is a kept one, or $HOLDGATE_APPROVER_KEY."""
    from gateway.cli.card import print_card
    from gateway.cli.output import console

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        voter = _voter(home, store, as_name)
        card = _card(home, store, id)
        # Whoever approves has seen every byte: nothing is folded and nothing masked here (semantics.md S21).
        print_card(console(stderr=json_output), card, frozenset(), whole=True)
        if not yes and not _confirmed(f"Approve as {voter.id}?", err=json_output):
            raise HoldgateError("Nothing was decided. Answer y, or give --yes once the card was read.")
        ballot = _Ballot(card, voter, "approve", digest or card.hold.digest, note)
        _cast(home, store, ballot, json_output=json_output)


def _confirmed(question: str, *, err: bool) -> bool:
    """Whether somebody said yes; a closed standard input says nothing."""
    try:
        return typer.confirm(question, err=err)
    except typer.Abort:
        return False


@app.command("deny")
def deny(ctx: typer.Context, id: Id, note: Note = "", as_name: AsName = None, json_output: AsJson = False) -> None:
    """Deny a call. One denial of anybody who may decide is enough."""
    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        voter = _voter(home, store, as_name)
        card = _card(home, store, id)
        _cast(home, store, _Ballot(card, voter, "deny", card.hold.digest, note), json_output=json_output)


def _card(home: Home, store: SqliteStore, given: str) -> Card:
    from gateway.cli.card import read_card
    from gateway.cli.short_ids import the_one

    keyring, tenant = keyring_of(home), home.settings.tenant

    def look(tx: Transaction) -> Card:
        ids = (hold.action for hold in tx.holds.all(tenant, limit=_MANY))
        return read_card(tx, keyring, the_one("hold", given, ids))

    return store.look(look)


def _voter(home: Home, store: SqliteStore, name: str | None) -> Principal:
    """The human who decides, by their key."""
    from gateway.cli.whoami import kept_key, signed_in, the_only_kept
    from gateway.model import Kind, Role

    given = os.environ.get(KEY_VARIABLE)
    if name is None and given:
        return signed_in(store, given.strip())
    return signed_in(store, kept_key(home, name or the_only_kept(home, store, Kind.HUMAN, Role.APPROVER)))


@dataclass(frozen=True)
class _Ballot:
    """A human's word on a hold."""

    card: Card
    voter: Principal
    verdict: Literal["approve", "deny"]
    shown: str
    """The digest that they were shown."""
    note: str

    def cast(self, tx: Transaction) -> Vote:
        from gateway.holds import vote

        return vote(tx, self.card.row.id, self.voter, self.verdict, self.shown, self.note)


def _cast(home: Home, store: SqliteStore, ballot: _Ballot, *, json_output: bool) -> None:
    from gateway.cli.output import emit, say
    from gateway.model import HoldState

    result, action = store.transact(ballot.cast), ballot.card.row.id
    if json_output:
        state = str(result.state) if result.state else None
        told = {"action_id": action, "accepted": result.accepted, "state": state, "message": result.message}
        emit({**told, "voter": ballot.voter.id, "digest": ballot.shown})
        if not result.accepted:
            raise typer.Exit(ExitCode.REFUSED)
    elif not result.accepted:
        raise HoldgateError(result.message + _who_else(ballot.card, ballot.voter))
    elif result.state is HoldState.APPROVED:
        say(result.message if _served(home) else _unserved(store, ballot.card))
        say(f"`holdgate ledger show {action}` tells what comes of it.")
    else:
        say(result.message)


def _served(home: Home) -> bool:
    """Whether a gateway is there to run what is approved."""
    from gateway.instances import serves

    return any(serves(home.instances, file.stem) for file in home.instances.glob("*.lock"))


def _unserved(store: SqliteStore, card: Card) -> str:
    from gateway.cli.output import moment

    hold = store.look(lambda tx: tx.holds.get(card.row.id))
    by = f", when it starts by {moment(hold.execute_by)}" if hold else ""
    return f"Approved. No gateway is running; the next one runs it{by}."


def _who_else(card: Card, voter: Principal) -> str:
    """For somebody whose word does not count: whose does."""
    from gateway.model import HoldState

    if card.hold.state is not HoldState.PENDING or voter.id in card.deciders:
        return ""
    return f" These can decide: {', '.join(card.deciders)}." if card.deciders else " Nobody who has a key can decide."
