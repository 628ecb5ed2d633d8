"""Tasks and budgets in the store, as time goes by (semantics.md I-16, R-5)."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.decision import BudgetCharge
from gateway.errors import Refusal
from gateway.model import Task
from gateway.store.job import Work
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from tests.store.conftest import seal

pytestmark = pytest.mark.anyio


def test_a_rolling_budget_is_never_exceeded(tmp_path: Path) -> None:
    """V-7, R-5: in every window of the length, no more than the limit; what is released is free again, and once."""
    now = [1_000_000_000_000]
    store = SqliteStore(tmp_path / "holdgate.db", seal, clock=lambda: now[0])
    charge = BudgetCharge("b", amount=4, limit=10, window=24 * 3600, unit="cents")

    def reserve(action: str) -> bool:
        return store.transact(lambda tx: tx.budgets.reserve("default", action, charge))

    assert [reserve("a"), reserve("b"), reserve("c")] == [True, True, False]
    assert store.transact(lambda tx: tx.budgets.reserve("another", "g", charge)), "another tenant's is another budget"
    for _ in range(2):
        store.transact(lambda tx: tx.budgets.release("a"))
    store.transact(lambda tx: tx.budgets.settle("b"))
    assert reserve("d")
    now[0] += 24 * 3_600_000 - 1
    assert not reserve("e"), "for a window of this length still holds the others whole"
    now[0] += 2 * 3_600_000
    assert reserve("f")
    store.close()


def test_an_implicit_task_ends_with_an_idle_gap(tmp_path: Path) -> None:
    """I-16: calls close together share a task, also across a restart; a long silence ends it."""
    now = [1_000_000_000_000]
    path = tmp_path / "holdgate.db"

    def task() -> str:
        store = SqliteStore(path, seal, clock=lambda: now[0])
        try:
            return store.transact(lambda tx: tx.tasks.implicit("default", "bot", 900_000)).id
        finally:
            store.close()

    first = task()
    now[0] += 899_000
    assert task() == first
    now[0] += 900_000
    assert task() != first


async def test_calls_of_one_transaction_open_a_task_once_and_never_for_work_that_is_undone(tmp_path: Path) -> None:
    """I-16, R-5: the clock of a task starts with the first call that is kept, and all of its calls see the same one."""
    now = [1_000_000_000_000]
    store = SqliteStore(tmp_path / "holdgate.db", seal, clock=lambda: now[0])
    task = Task("tsk_1", "header")

    def see(tx: Transaction) -> int:
        return tx.tasks.seen("default", "bot", task)

    def undone(tx: Transaction) -> int:
        see(tx)
        raise Refusal("not_permitted", "No.")

    async def at_once(*works: Work[int]) -> list[int | BaseException]:
        return await asyncio.gather(*map(store.write, works), return_exceptions=True)

    begun = now[0]
    assert [type(said) for said in await at_once(undone, undone)] == [Refusal, Refusal]
    now[0] += 60_000
    opened = now[0]
    assert [said for said in await at_once(undone, see, undone, see) if isinstance(said, int)] == [opened, opened]
    for later in (1, 999, 5_000):
        now[0] = opened + later
        assert await at_once(see, see, see) == [opened] * 3
    assert opened != begun
    store.close()
