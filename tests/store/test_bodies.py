"""Bodies are kept for as long as their actions' ends are young, and go with them (semantics.md I-13)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import Refusal
from gateway.outcome import State
from gateway.retention import forget
from gateway.store.actions import ROUND
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from tests.calling import CALL
from tests.store.conftest import seal

pytestmark = pytest.mark.anyio

HOUR = 3_600_000
KEEP = 24 * HOUR


class Clock:
    """The store's time, as the test sets it."""

    now = 1_000 * HOUR

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[SqliteStore]:
    with closing(SqliteStore(tmp_path / "holdgate.db", seal, clock)) as store:
        yield store


def said(tx: Transaction, id: str, state: State = State.DISPATCHING) -> None:
    """An action under way, and what was said."""
    tx.actions.add(replace(CALL, id=id), state, policy_hash="", instance="run_1")
    tx.bodies.put(id, "arguments", b"sealed", keep_ms=None)


def ended(tx: Transaction, id: str, state: State = State.SUCCEEDED) -> None:
    """How it ended, and what was told."""
    assert tx.actions.settle(id, 1, state, code=None)
    tx.bodies.put(id, "outcome", b"sealed", keep_ms=KEEP)


def kept(store: SqliteStore) -> list[str]:
    """Whose bodies are still in the file."""
    with closing(sqlite3.connect(store.path)) as file:
        return [id for (id,) in file.execute("SELECT DISTINCT action FROM bodies ORDER BY action")]


def sweep(store: SqliteStore, keep: int = KEEP) -> int:
    return store.transact(lambda tx: tx.bodies.expire(tx.now - keep))


def test_what_was_said_and_told_goes_when_its_action_ended_long_enough_ago(store: SqliteStore, clock: Clock) -> None:
    """I-13: nothing of it is left in the file, and of a younger one everything."""
    store.transact(lambda tx: [said(tx, "act_1"), said(tx, "act_2"), ended(tx, "act_1")])
    clock.now += HOUR
    store.transact(lambda tx: ended(tx, "act_2"))
    clock.now += KEEP - HOUR - 1
    sweep(store)
    assert kept(store) == ["act_1", "act_2"]
    clock.now += 1
    sweep(store)
    assert kept(store) == ["act_2"]
    clock.now += HOUR
    sweep(store)
    assert kept(store) == []


def test_what_has_not_ended_keeps_its_bodies(store: SqliteStore, clock: Clock) -> None:
    """I-13: however old it is; and when its end is found out, for as long as any other."""
    store.transact(lambda tx: [said(tx, "act_1"), said(tx, "act_2", State.HELD), said(tx, "act_3")])
    store.transact(lambda tx: [tx.actions.settle("act_1", 1, State.UNKNOWN, code=None), ended(tx, "act_3")])
    clock.now += 1_000 * KEEP
    sweep(store)
    assert kept(store) == ["act_1", "act_2"]
    store.transact(lambda tx: [ended(tx, "act_1"), tx.actions.refuse_held("act_2", "hold_expired")])
    clock.now += KEEP - 1
    sweep(store)
    assert kept(store) == ["act_1", "act_2"]
    clock.now += 1
    sweep(store)
    assert kept(store) == []


def test_rounds_leave_nobody_out(store: SqliteStore, clock: Clock) -> None:
    """A round ends before all is done, also in the middle of one moment, and the next one goes on where it ended."""

    def many(tx: Transaction, first: int) -> None:
        for number in range(first, first + ROUND // 2 + 5):
            said(tx, f"act_{number}")
            ended(tx, f"act_{number}")

    for first in (0, 1_000, 2_000):
        store.transact(lambda tx, first=first: many(tx, first))
        clock.now += 1
    clock.now += KEEP
    assert sweep(store) == ROUND
    assert kept(store)
    assert sweep(store) < ROUND
    assert kept(store) == []


async def test_more_than_a_round_is_dropped_in_one_go(store: SqliteStore, clock: Clock) -> None:
    """I-13: what a busy gateway leaves does not pile up behind one round each time."""

    def many(tx: Transaction, first: int) -> None:
        for number in range(first, first + ROUND):
            said(tx, f"act_{number}")
            ended(tx, f"act_{number}")

    for first in (0, ROUND):
        store.transact(lambda tx, first=first: many(tx, first))
        clock.now += 1
    clock.now += KEEP
    await forget(store, keep_bodies=KEEP)
    assert kept(store) == []


def test_a_clock_that_was_set_back_leaves_nobody_out(store: SqliteStore, clock: Clock) -> None:
    """What ends at an hour that was over already is dropped in its turn."""
    before = clock.now
    clock.now += 10 * KEEP
    store.transact(lambda tx: [said(tx, "act_1"), ended(tx, "act_1")])
    clock.now += KEEP
    sweep(store)
    clock.now = before
    sweep(store)
    store.transact(lambda tx: [said(tx, "act_2"), ended(tx, "act_2")])
    clock.now += KEEP
    sweep(store)
    assert kept(store) == []


async def test_an_action_is_not_forgotten_before_what_it_was_told(store: SqliteStore, clock: Clock) -> None:
    """I-13: who keeps answers for half a year has their keys answered as long, and nothing stays behind for ever."""
    store.transact(lambda tx: [said(tx, "act_1"), ended(tx, "act_1")])
    clock.now += 100 * 24 * HOUR
    await forget(store, keep_bodies=180 * 24 * HOUR)
    assert store.look(lambda tx: tx.actions.get("act_1"))
    clock.now += 81 * 24 * HOUR
    await forget(store, keep_bodies=180 * 24 * HOUR)
    assert not store.look(lambda tx: tx.actions.get("act_1"))
    assert kept(store) == []


def test_the_oldest_is_forgotten_first(store: SqliteStore, clock: Clock) -> None:
    """I-13: a round that leaves some leaves the youngest, so that no action goes before its bodies are looked for."""

    def end(tx: Transaction, *ids: str) -> None:
        for id in ids:
            said(tx, id)
            ended(tx, id)

    store.transact(lambda tx: end(tx, "act_old"))
    clock.now += HOUR
    store.transact(lambda tx: end(tx, *(f"act_{number}" for number in range(ROUND - 1))))
    clock.now += HOUR
    store.transact(lambda tx: end(tx, "act_young"))
    clock.now += KEEP
    assert store.transact(lambda tx: tx.actions.forget(tx.now)) == ROUND
    assert not store.look(lambda tx: tx.actions.get("act_old"))
    assert store.look(lambda tx: tx.actions.get("act_young"))


def test_who_keeps_less_from_now_on_keeps_less_of_what_there_is(store: SqliteStore, clock: Clock) -> None:
    """A shorter `keep_answers_hours` holds for older calls, too."""
    store.transact(lambda tx: [said(tx, "act_1"), ended(tx, "act_1")])
    clock.now += KEEP // 2
    sweep(store)
    assert kept(store) == ["act_1"]
    sweep(store, KEEP // 2)
    assert kept(store) == []


async def test_of_work_that_fails_no_body_is_kept_and_of_its_neighbours_all(store: SqliteStore) -> None:
    """I-6: bodies are inserted together, and undone alone."""

    def fails(tx: Transaction) -> None:
        said(tx, "act_2")
        assert tx.bodies.get("act_2", "arguments") == b"sealed", "it finds what it has written itself"
        tx.bodies.put("act_2", "context", b"sealed", keep_ms=KEEP)
        raise Refusal("not_permitted", "No.")

    results = await asyncio.gather(
        store.write(lambda tx: said(tx, "act_1")),
        store.write(fails),
        store.write(lambda tx: said(tx, "act_3")),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [type(None), Refusal, type(None)]
    assert kept(store) == ["act_1", "act_3"]
