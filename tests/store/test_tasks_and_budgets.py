"""Tasks and budgets in the store, as time goes by (semantics.md I-16, R-5)."""

from __future__ import annotations

from pathlib import Path

from gateway.model import BudgetCharge
from gateway.store.sqlite import SqliteStore
from tests.store.conftest import seal


def test_a_rolling_budget_is_never_exceeded(tmp_path: Path) -> None:
    """V-7, R-5: in every window of the length, no more than the limit; what is released is free again."""
    now = [1_000_000_000_000]
    store = SqliteStore(tmp_path / "holdgate.db", seal, clock=lambda: now[0])
    charge = BudgetCharge("b", amount=4, limit=10, window=24 * 3600, unit="cents")

    def reserve(action: str) -> bool:
        return store.transact(lambda tx: tx.budgets.reserve("default", action, charge))

    assert [reserve("a"), reserve("b"), reserve("c")] == [True, True, False]
    store.transact(lambda tx: tx.budgets.release("a"))
    store.transact(lambda tx: tx.budgets.settle("b"))
    assert reserve("d")
    now[0] += 23 * 3_600_000
    assert not reserve("e")
    now[0] += 3 * 3_600_000
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
