"""The approval card: the facts of a held call, then what the caller says about it (semantics.md H-1, H-5, H-12)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.cli.inert import FOLD, hides, inert
from gateway.errors import HoldgateError, StartupError

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.decision import ApprovalTerms
    from gateway.keyring import Keyring
    from gateway.settings import Home
    from gateway.store.actions import ActionRow
    from gateway.store.holds import HoldRow, VoteRow
    from gateway.store.transaction import Transaction

MASK = "[masked]"


@dataclass(frozen=True, slots=True)
class Card:
    """What a reviewer is shown of one hold; the digest is of exactly this."""

    row: ActionRow
    hold: HoldRow
    terms: ApprovalTerms
    votes: tuple[VoteRow, ...]
    owner: str | None
    deciders: tuple[str, ...]
    """Whose vote would count now."""
    arguments: dict[str, Any]
    context: dict[str, Any]
    rules: tuple[str, ...]
    now: int


def read_card(tx: Transaction, keyring: Keyring, id: str) -> Card:
    """The card of a hold, with its arguments decrypted.

    Raises:
        HoldgateError: there is no such hold, or its arguments are no longer kept.
    """
    import json

    from gateway.bodies import opened
    from gateway.holds import deciders, terms_from_json
    from gateway.ledger_line import Event
    from gateway.model import HoldState

    row, hold = tx.actions.get(id), tx.holds.get(id)
    arguments = opened(tx, keyring, id, "arguments")
    if row is None or hold is None or arguments is None:
        raise HoldgateError(f"The arguments of {id} are no longer kept, so it cannot be shown or approved.")
    asked = next(tx.ledger.lines(action=id, event=Event.HOLD_CREATED, limit=1), None)
    requester = tx.people.get(row.tenant, row.principal)
    terms = terms_from_json(hold.terms)
    return Card(
        row,
        hold,
        terms,
        tuple(tx.holds.votes(id)),
        requester.owner if requester else None,
        tuple(deciders(tx, row, terms)) if hold.state is HoldState.PENDING else (),
        arguments,
        opened(tx, keyring, id, "context") or {},
        tuple(json.loads(asked.text).get("rules", ())) if asked else (),
        tx.now,
    )


def sensitive_in(home: Home, card: Card) -> frozenset[str]:
    """The arguments that are masked. All of them, when the tool cannot be asked which are personal."""
    from gateway.cli.invocation import catalogue_of

    try:
        tool = catalogue_of(home).tools.get(card.row.tool)
    except StartupError:
        tool = None
    return tool.sensitive if tool else frozenset(card.arguments)


def as_json(card: Card, masked: frozenset[str]) -> dict[str, Any]:
    """The card for programs."""
    from gateway.cli.output import moment

    return {
        "action_id": card.row.id,
        "tool": card.row.tool,
        "state": str(card.hold.state),
        "digest": card.hold.digest,
        "requested_by": card.row.principal,
        "on_behalf_of": card.row.on_behalf_of,
        "owner": card.owner,
        "task": card.row.task,
        "created_at": moment(card.hold.created_at),
        "expires_at": moment(card.hold.expires_at),
        "rules": list(card.rules),
        "needs": [{"from": list(factor.groups), "count": factor.count} for factor in card.terms.factors],
        "deciders": list(card.deciders),
        "votes": [{"voter": vote.voter, "verdict": vote.verdict, "note": vote.note} for vote in card.votes],
        "arguments": {name: MASK if name in masked else value for name, value in card.arguments.items()},
        "diff": [_masked(change, masked) for change in card.context.get("diff") or ()],
        "untrusted": {
            "reason": card.context.get("reason"),
            "task": card.context.get("task"),
            "evidence": card.context.get("evidence") or [],
        },
        "hidden_characters": hides(card.arguments) or hides(card.context),
    }


def _masked(change: dict[str, Any], masked: frozenset[str]) -> dict[str, Any]:
    return {**change, "before": MASK, "after": MASK} if change.get("field") in masked else change


def print_card(out: Console, card: Card, masked: frozenset[str], *, whole: bool) -> None:
    """The card for people: every text inert, facts first.

    Args:
        masked: arguments whose values are not shown.
        whole: show long texts in full, as anybody must see them who approves (semantics.md S21).
    """
    from rich.text import Text

    from gateway.cli.output import moment, time_left
    from gateway.model import HoldState

    fold = None if whole else FOLD

    def line(name: str, value: object) -> None:
        out.print(Text.assemble((f"  {inert(name):<14} ", "bold"), inert(value, fold=fold)))

    def head(title: str, style: str = "bold") -> None:
        out.print(Text(title, style=style))

    facts = as_json(card, masked)
    head(f"{card.row.tool}, {card.hold.state}")
    line("action", card.row.id)
    line("asked by", card.row.principal + (f", who answers to {card.owner}" if card.owner else ""))
    line("on behalf of", card.row.on_behalf_of or "nobody it named")
    line("task", f"{card.row.task} ({card.row.task_source})")
    line("held by", " ".join(card.rules) or "policy")
    line("needs", card.terms.needs)
    for vote in card.votes:
        line("vote", f"{vote.verdict} by {vote.voter}" + (f": {vote.note}" if vote.note else ""))
    if card.hold.state is HoldState.PENDING:
        line("can decide", ", ".join(card.deciders) or "nobody who has a key now")
        line("expires", f"{moment(card.hold.expires_at)} ({time_left(card.hold.expires_at - card.now)} left)")
    head("Arguments")
    for name, value in facts["arguments"].items():
        line(name, value)
    if masked & card.arguments.keys():
        out.print("  Masked values are personal. --reveal shows them.")
    head("What it would change" if facts["diff"] else "No preview of what it would change")
    for change in facts["diff"]:
        before, after = inert(change.get("before"), fold=fold), inert(change.get("after"), fold=fold)
        line(str(change.get("field")), f"{before}  ->  {after}  ({change.get('certainty')})")
    line("digest", card.hold.digest)
    if facts["hidden_characters"]:
        head(
            "Careful: some text here holds characters that are normally invisible. They are spelled out, <U+…>.", "red"
        )
    head("Untrusted: what the caller says about it", "yellow")
    line("reason", card.context.get("reason") or "none given")
    if card.context.get("task"):
        line("task", card.context["task"])
    for cited in card.context.get("evidence") or ():
        line("evidence", cited)
