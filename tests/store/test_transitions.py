"""Where an action may go from where it stands: whoever comes too late changes nothing (semantics.md I-6, I-8, H-3)."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace

import pytest

from gateway.model import HoldState
from gateway.outcome import State
from gateway.store.actions import ActionRow, Actions
from gateway.store.holds import Holds
from tests.calling import CALL
from tests.store.conftest import seal

HERE, NEWER = "run_1", "run_2"
FENCE = 1
"""The token of who dispatched it first."""
Step = Callable[[Actions], object]


def dispatch(actions: Actions) -> object:
    """Of what was approved."""
    return actions.dispatch(CALL.id, instance=NEWER, lease_until=9_000, policy_hash="newer")


def retake(actions: Actions) -> object:
    """Of what got no answer, to send it again."""
    return actions.retake(CALL.id, instance=NEWER, lease_until=9_000)


@pytest.mark.parametrize(
    ("step", "sources", "to"),
    [
        (dispatch, {State.HELD}, State.DISPATCHING),
        (retake, {State.UNKNOWN}, State.DISPATCHING),
        (
            lambda actions: actions.settle(CALL.id, FENCE, State.SUCCEEDED, code=None),
            {State.DISPATCHING, State.UNKNOWN},
            State.SUCCEEDED,
        ),
        (lambda actions: actions.settle(CALL.id, FENCE + 1, State.SUCCEEDED, code=None), set(), None),
        (lambda actions: actions.refuse_held(CALL.id, "hold_expired"), {State.HELD}, State.REFUSED),
    ],
    ids=["dispatch", "retake", "settle", "settle by another", "refuse"],
)
def test_an_action_goes_on_only_from_where_it_stands(
    connection: sqlite3.Connection, step: Step, sources: set[State], to: State | None
) -> None:
    """I-6, I-8, S15: of two who come for the same action one moves it, and no end is written over another."""
    for state in State:
        before, moved, after = stepped(connection, state, step)
        assert bool(moved) == (state in sources)
        assert after.state == to if moved else after == before


@pytest.mark.parametrize(
    ("step", "source", "policy"), [(dispatch, State.HELD, "newer"), (retake, State.UNKNOWN, "policy")]
)
def test_who_sends_takes_the_word_from_who_had_it(
    connection: sqlite3.Connection, step: Step, source: State, policy: str
) -> None:
    """I-8, H-4: with a token of its own, and under the policy that was asked last."""
    _, fence, after = stepped(connection, source, step)
    assert (fence, after.fence, after.instance, after.policy_hash) == (FENCE + 1, FENCE + 1, NEWER, policy)


@pytest.mark.parametrize("state", State)
def test_only_an_answer_that_told_the_end_is_delivered(connection: sqlite3.Connection, state: State) -> None:
    """I-15: what was told to be running, held or unknown is still owed its outcome; and the first telling counts."""

    def twice(actions: Actions) -> None:
        actions.delivered([CALL.id], 3_000)
        actions.delivered([CALL.id], 4_000)

    assert stepped(connection, state, twice)[2].delivered_at == (3_000 if state.terminal else None)


def test_what_was_put_off_is_not_looked_into_before(connection: sqlite3.Connection) -> None:
    """I-8, I-11: also when it was sent again meanwhile, and got no answer once more: the pauses grow."""

    def put_off(actions: Actions) -> tuple[int, int]:
        actions.try_again(CALL.id, 60_000)
        retake(actions)
        assert not Actions(connection, 60_000).due(), "for it is under way"
        assert actions.settle(CALL.id, FENCE + 1, State.UNKNOWN, code="outcome_unknown", try_at=4_000)
        return len(Actions(connection, 59_999).due()), len(Actions(connection, 60_000).due())

    assert stepped(connection, State.UNKNOWN, put_off)[1] == (0, 1)


def test_a_hold_goes_on_only_from_where_it_stands(connection: sqlite3.Connection) -> None:
    """H-2, S15: of two who come for the same hold one moves it, whatever they have seen before."""
    for stands in HoldState:
        holds = asked(connection, stands, tenant="acme")
        assert holds.move(stands, HoldState.PENDING, stands)
        for seen in {*HoldState} - {stands}:
            assert not holds.move(stands, seen, HoldState.CONSUMED)
        hold = holds.get(stands)
        assert hold is not None
        assert hold.state is stands


def test_a_hold_is_over_from_the_moment_that_it_names(connection: sqlite3.Connection) -> None:
    """H-6, S18: to the millisecond, for votes and for the execution; whoever else may come too late for it."""
    asked(connection, "pending", tenant="acme", expires_at=9_000)
    asked(connection, "approved", tenant="acme", expires_at=3_000).move(
        "approved", HoldState.PENDING, HoldState.APPROVED, execute_by=7_000
    )

    def over(at: int) -> set[str]:
        return {hold.action for hold in Holds(connection, at, seal).overdue()}

    assert [over(at) for at in (6_999, 7_000, 8_999, 9_000)] == [
        set(),
        {"approved"},
        {"approved"},
        {"approved", "pending"},
    ]


def test_open_questions_are_those_that_wait_for_a_vote(connection: sqlite3.Connection) -> None:
    """H-13, T-3: an approved one is none any more, and another tenant's principal of that name is somebody else."""
    for id, tenant in (("one", "acme"), ("another", "acme"), ("a stranger's", "another")):
        holds = asked(connection, id, tenant=tenant)
    holds.move("another", HoldState.PENDING, HoldState.APPROVED, execute_by=7_000)
    assert holds.pending_of("acme", CALL.principal.id) == 1


def stepped(connection: sqlite3.Connection, state: State, step: Step) -> tuple[ActionRow, object, ActionRow]:
    """An action that stands at `state`, what a step answers, and the action after it."""
    connection.execute("BEGIN")
    try:
        actions = Actions(connection, 2_000)
        actions.add(CALL, state, policy_hash="policy", instance=HERE, lease_until=1_000)
        before = actions.get(CALL.id)
        answer = step(actions)
        after = actions.get(CALL.id)
    finally:
        connection.execute("ROLLBACK")
    assert before is not None
    assert after is not None
    return before, answer, after


def asked(connection: sqlite3.Connection, id: str, *, tenant: str, expires_at: int = 9_000) -> Holds:
    """A hold of the caller's that waits for votes, and the others."""
    holds = Holds(connection, 2_000, seal)
    caller = replace(CALL.principal, tenant=tenant)
    Actions(connection, 2_000).add(replace(CALL, id=id, principal=caller), State.HELD, policy_hash="", instance=HERE)
    holds.add(id, tenant, digest="", terms="", witness="", expires_at=expires_at)
    return holds
