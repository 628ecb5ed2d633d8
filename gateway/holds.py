"""Holds: who may approve what, what an approval is bound to, and when it is over (semantics.md H)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from gateway import canonical
from gateway.decision import ApprovalFactor, ApprovalTerms, Decision, Verdict
from gateway.errors import Refusal
from gateway.ledger_line import Event
from gateway.lines import facts, later_facts
from gateway.model import Action, HoldState, Kind, Principal, Role, Shown
from gateway.store.actions import ActionRow
from gateway.store.holds import HoldRow
from gateway.store.transaction import Transaction


def digest(action: Action, shown: Shown | None, policy_hash: str) -> str:
    """What a reviewer approves, and nothing else: every fact that could change what is done (semantics.md H-1).

    Who must approve, and until when, is not in it: the transaction that consumes the hold checks those itself, so
    that a policy which asks for one more reviewer does not void the approvals already given.
    """
    approved = {
        "tenant": action.principal.tenant,
        "principal": action.principal.id,
        "owner": action.principal.owner,
        "on_behalf_of": action.principal.on_behalf_of,
        "tool": action.tool.name,
        "schema": action.tool.schema_hash,
        "host": action.tool.connector.base_url,
        "policy": policy_hash,
        "arguments": action.arguments,
        "preview": shown.digest if shown else None,
        "credential": action.tool.connector.credential,
        "action": action.id,
    }
    return hashlib.sha256(canonical.dumps(approved)).hexdigest()


def place(tx: Transaction, action: Action, decision: Decision, terms: ApprovalTerms, shown: Shown | None) -> int:
    """Let an action that is recorded as held wait for its approvals. Until when, in milliseconds since the epoch."""
    asked, expires_at = digest(action, shown, decision.policy_hash), tx.now + terms.expires * 1000
    tx.holds.add(
        action.id,
        action.principal.tenant,
        digest=asked,
        terms=terms_to_json(terms),
        witness=shown.witness if shown else "",
        expires_at=expires_at,
    )
    tx.ledger.append(
        Event.HOLD_CREATED,
        **facts(action, decision),
        digest=asked,
        preview=shown.digest if shown else None,
        groups=sorted({group for factor in terms.factors for group in factor.groups}),
        expires_at=expires_at,
    )
    return expires_at


def terms_to_json(terms: ApprovalTerms) -> str:
    """As stored with the hold."""
    return json.dumps(
        {
            "factors": [[list(factor.groups), factor.count] for factor in terms.factors],
            "expires": terms.expires,
            "execute_within": terms.execute_within,
        },
        sort_keys=True,
    )


def terms_from_json(text: str) -> ApprovalTerms:
    """The terms a hold was made under."""
    stored = json.loads(text)
    factors = tuple(ApprovalFactor(tuple(groups), count) for groups, count in stored["factors"])
    return ApprovalTerms(factors, stored["expires"], stored["execute_within"])


def objection(row: ActionRow, requester: Principal | None, voter: Principal, terms: ApprovalTerms) -> str | None:
    """Why this person may not vote on this hold; None when they may (semantics.md H-5)."""
    parties = {row.principal, row.on_behalf_of, requester.owner if requester else None}
    if voter.tenant != row.tenant:
        return "There is no such hold."
    if voter.kind is not Kind.HUMAN:
        return "Only a human may decide on a hold."
    if Role.APPROVER not in voter.roles:
        return f"{voter.id} does not have the approver role."
    if voter.id in parties:
        return f"{voter.id} is a party to this call, and nobody approves their own."
    wanted = {group for factor in terms.factors for group in factor.groups}
    if not wanted & voter.groups:
        return f"{voter.id} is in none of the groups that may decide: {', '.join(sorted(wanted))}."
    return None


def deciders(tx: Transaction, row: ActionRow, terms: ApprovalTerms) -> list[str]:
    """Whose vote on this hold would count now, by name: those who may decide, and have a key that opens something."""
    requester = tx.people.get(row.tenant, row.principal)
    with_keys = {key.principal for key in tx.people.keys(row.tenant) if key.usable(tx.now)}
    return [
        person.id
        for person, enabled in tx.people.all(row.tenant)
        if enabled and person.id in with_keys and objection(row, requester, person, terms) is None
    ]


def satisfied(terms: ApprovalTerms, approvers: Iterable[Principal]) -> bool:
    """Whether distinct humans can fill every seat of every factor: a bipartite matching."""
    seats = [frozenset(factor.groups) for factor in terms.factors for _ in range(factor.count)]
    people = list(approvers)
    seated: dict[int, int] = {}

    def seat(index: int, tried: set[int]) -> bool:
        for number, person in enumerate(people):
            if number in tried or not seats[index] & person.groups:
                continue
            tried.add(number)
            if number not in seated or seat(seated[number], tried):
                seated[number] = index
                return True
        return False

    return all(seat(index, set()) for index in range(len(seats)))


def eligible_approvers(tx: Transaction, row: ActionRow, hold: HoldRow, terms: ApprovalTerms) -> list[Principal]:
    """Who approved and still may (semantics.md H-4, S19).

    They are enabled and in their group; it was for the digest that stands, and with a key that is not revoked.
    """
    requester, keys = tx.people.get(row.tenant, row.principal), _voted_with(tx, row)
    voters = [
        tx.people.get(row.tenant, vote.voter)
        for vote in tx.holds.votes(row.id)
        if vote.verdict == "approve" and vote.digest == hold.digest and not tx.people.revoked(keys.get(vote.voter, ""))
    ]
    return [voter for voter in voters if voter and objection(row, requester, voter, terms) is None]


def _voted_with(tx: Transaction, row: ActionRow) -> dict[str, str]:
    """The id of the key that each voter's last word came with."""
    lines = (json.loads(line.text) for line in tx.ledger.lines(action=row.id, event=Event.VOTE))
    return {line["principal"]: line.get("voter_key", "") for line in lines if line["accepted"]}


def spendable(
    tx: Transaction,
    action: Action,
    row: ActionRow,
    hold: HoldRow,
    decision: Decision,
    *,
    digest: str,
    stopped: Refusal | None,
) -> list[Principal] | None:
    """Who approved, if their approval can be spent now (semantics.md H-4, S16-S19).

    Args:
        decision: of the policy of this moment.
        digest: recomputed from what would run now.
        stopped: why nothing of this caller may run at all.

    Returns:
        None when it cannot: then the hold is closed, or waits for the approvals that it lacks now.
    """
    if hold.state is not HoldState.APPROVED:
        return None
    if stopped is None and decision.verdict is Verdict.DENY:
        stopped = Refusal(decision.code, decision.message)
    if tx.now >= (hold.execute_by or 0):
        close(tx, row, HoldState.APPROVED, HoldState.EXPIRED, "hold_expired")
    elif hold.digest != digest:
        close(tx, row, HoldState.APPROVED, HoldState.STALE, "hold_stale")
    elif stopped is not None:
        close(tx, row, HoldState.APPROVED, HoldState.DENIED_AT_EXECUTION, stopped.code)
    else:
        terms = decision.approval or terms_from_json(hold.terms)
        approvers = eligible_approvers(tx, row, hold, terms)
        if satisfied(terms, approvers):
            return approvers
        tx.holds.renew(row.id, terms_to_json(terms))
        tx.holds.move(row.id, HoldState.APPROVED, HoldState.PENDING)
        tx.ledger.append(Event.HOLD_DECIDED, **facts(action), state="pending", why="more approvals are needed")
    return None


@dataclass(frozen=True, slots=True)
class Vote:
    """What became of a vote."""

    accepted: bool
    state: HoldState | None
    message: str


def vote(
    tx: Transaction, action_id: str, voter: Principal, verdict: Literal["approve", "deny"], shown: str, note: str = ""
) -> Vote:
    """Cast a vote, inside a transaction. Every attempt is on the ledger, the refused ones too (S14).

    Args:
        shown: the digest that the voter was shown; another than the stored one is refused.
    """
    row, hold = tx.actions.get(action_id), tx.holds.get(action_id)
    if row is None or hold is None or row.tenant != voter.tenant:
        return Vote(False, None, f"There is no hold {action_id}.")
    terms = terms_from_json(hold.terms)
    refused = objection(row, tx.people.get(row.tenant, row.principal), voter, terms)
    if refused is None and not tx.people.active(voter.tenant, voter.id, voter.key_id):
        refused = f"The key of {voter.id} is revoked or expired."
    if refused is None and hold.state is HoldState.PENDING and tx.now >= hold.expires_at:
        close(tx, row, HoldState.PENDING, HoldState.EXPIRED, "hold_expired")
        refused = "Nobody decided in time: the hold has expired."
    elif refused is None and hold.state is not HoldState.PENDING:
        refused = f"The hold is {hold.state} already."
    if refused is None and shown != hold.digest:
        refused = "What you were shown is not what is asked now; look again."
    about = later_facts(row, voter.id)
    if refused is not None:
        tx.ledger.append(Event.VOTE, **about, verdict=verdict, accepted=False, why=refused)
        return Vote(False, hold.state, refused)
    tx.holds.vote(row.id, row.tenant, voter.id, verdict, digest=shown, note=note[:500])
    tx.ledger.append(Event.VOTE, **about, verdict=verdict, accepted=True, digest=shown, voter_key=voter.key_id)
    if verdict == "deny":
        close(tx, row, HoldState.PENDING, HoldState.DENIED, "hold_denied", by=voter.id)
        return Vote(True, HoldState.DENIED, "Denied; the action will not run.")
    if not satisfied(terms, eligible_approvers(tx, row, hold, terms)):
        return Vote(True, HoldState.PENDING, "Approved by you; more approvals are needed.")
    tx.holds.move(row.id, HoldState.PENDING, HoldState.APPROVED, execute_by=tx.now + terms.execute_within * 1000)
    tx.ledger.append(Event.HOLD_DECIDED, **later_facts(row, None), state="approved")
    return Vote(True, HoldState.APPROVED, "Approved; the gateway runs it now.")


def close(
    tx: Transaction, row: ActionRow, source: HoldState, to: HoldState, code: str, *, by: str | None = None
) -> bool:
    """End a hold without an execution. False when it had already moved on."""
    if not tx.holds.move(row.id, source, to):
        return False
    tx.actions.refuse_held(row.id, code)
    if code in _FREES_CLAIM:
        tx.actions.give_back(row.id)
    tx.ledger.append(Event.HOLD_DECIDED, **later_facts(row, by), state=str(to), code=code)
    return True


_FREES_CLAIM = frozenset({"hold_expired", "hold_cancelled", "hold_stale"})
"""Ends after which the same call may be asked again; a human's no stands for the key's life."""
