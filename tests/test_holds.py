"""Who may approve, and what (semantics.md H-1, H-5): distinct humans, never a party to the call; and that call only."""

from collections.abc import Callable
from contextlib import closing
from copy import copy
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import ApprovalFactor, ApprovalTerms
from gateway.holds import digest, objection, satisfied
from gateway.model import Action, Kind, Principal, Role, Shown
from gateway.outcome import State
from gateway.store.sqlite import SqliteStore
from tests.calling import CALL, CALLER, TOOL
from tests.policy.acme import REFUND

SHOWN = Shown([], "witness", "what was shown")

GROUPS = st.frozensets(st.sampled_from(["finance", "legal", "ops"]), max_size=3)


def person(number: int, groups: frozenset[str]) -> Principal:
    return Principal("default", f"human{number}", Kind.HUMAN, groups, frozenset({Role.APPROVER}))


@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from(["finance", "legal", "ops"]), min_size=1, max_size=2), st.integers(1, 2)),
        min_size=1,
        max_size=2,
    ),
    st.lists(GROUPS, max_size=5),
)
def test_seats_are_filled_exactly_when_some_seating_exists(
    factors: list[tuple[list[str], int]], people: list[frozenset[str]]
) -> None:
    """H-5: k of each group, distinct across factors, agrees with trying every seating."""
    terms = ApprovalTerms(tuple(ApprovalFactor(tuple(groups), count) for groups, count in factors))
    seats = [set(groups) for groups, count in factors for _ in range(count)]
    approvers = [person(number, groups) for number, groups in enumerate(people)]
    possible = any(
        all(seat & someone.groups for seat, someone in zip(seats, order, strict=False))
        for order in permutations(approvers, len(seats))
    )
    assert satisfied(terms, approvers) == possible


def by(**other: Any) -> Action:
    """The call, of another caller."""
    return replace(CALL, principal=replace(CALLER, **other))


def of(**other: Any) -> Action:
    """The call, of a tool that differs."""
    tool = copy(TOOL)
    for name, value in other.items():
        setattr(tool, name, value)
    return replace(CALL, tool=tool)


def at(**other: Any) -> Action:
    """The call, at a connector that differs."""
    connector = copy(TOOL.connector)
    for name, value in other.items():
        setattr(connector, name, value)
    return of(connector=connector)


@pytest.mark.parametrize(
    "other",
    [
        by(tenant="another"),
        by(id="another-bot"),
        by(owner="vic"),
        by(on_behalf_of="eve"),
        of(name="billing_give_away"),
        of(schema_hash="another promise"),
        at(base_url="https://billing.elsewhere"),
        at(credential="kv/billing/everything#token"),
        replace(CALL, arguments={**REFUND, "cents": 9_000}),
        replace(CALL, id="act_2"),
    ],
)
def test_an_approval_is_bound_to_every_fact_of_the_call(other: Action) -> None:
    """H-1, S16: whose call it is, of which tool, where to, with what, and which one: each makes another digest."""
    assert digest(other, SHOWN, "policy") != digest(CALL, SHOWN, "policy") == digest(copy(CALL), SHOWN, "policy")


def test_an_approval_is_bound_to_what_was_shown_under_which_policy() -> None:
    """H-1: another preview, or another policy when it was asked, makes another digest."""
    known = digest(CALL, SHOWN, "policy")
    assert known not in (
        digest(CALL, replace(SHOWN, digest="something else"), "policy"),
        digest(CALL, None, "policy"),
        digest(CALL, SHOWN, "another policy"),
    )


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda voter: voter, None),
        (lambda voter: replace(voter, id="bot"), "party"),
        (lambda voter: replace(voter, id="olga"), "party"),
        (lambda voter: replace(voter, id="ada"), "party"),
        (lambda voter: replace(voter, kind=Kind.SERVICE), "human"),
        (lambda voter: replace(voter, kind=Kind.AGENT), "human"),
        (lambda voter: replace(voter, roles=frozenset({Role.OPERATOR})), "role"),
        (lambda voter: replace(voter, groups=frozenset({"legal"})), "groups"),
        (lambda voter: replace(voter, tenant="another"), "no such hold"),
    ],
)
def test_who_may_vote(tmp_path: Path, change: Callable[[Principal], Principal], why: str | None) -> None:
    """H-5: a human approver of an asked group and the same tenant, who neither called, nor answers for who did."""
    terms = ApprovalTerms((ApprovalFactor(("finance",)),))
    voter = Principal("acme", "fay", Kind.HUMAN, frozenset({"finance"}), frozenset({Role.APPROVER}))
    with closing(SqliteStore(tmp_path / "holdgate.db", lambda _, hashed: hashed)) as store:
        store.transact(lambda tx: tx.actions.add(CALL, State.HELD, policy_hash="policy", instance="run_1"))
        row = store.look(lambda tx: tx.actions.get(CALL.id))
    assert row is not None
    said = objection(row, CALLER, change(voter), terms)
    assert said is None if why is None else why in str(said)
