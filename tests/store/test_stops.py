"""Stops in the store: each covers what it names, from the next piece of work on (semantics.md T-10)."""

from __future__ import annotations

import asyncio

import pytest

from gateway.errors import HoldgateError
from gateway.store.job import Work
from gateway.store.sqlite import SqliteStore
from gateway.store.switches import Scope
from gateway.store.transaction import Transaction

pytestmark = pytest.mark.anyio


async def test_calls_of_one_transaction_see_the_stops_that_it_makes_and_not_those_that_it_undoes(
    store: SqliteStore,
) -> None:
    """T-10: what a transaction has read about stops, it reads again once any of its work has changed them."""

    def stopped(tx: Transaction) -> bool:
        return tx.switches.stopping("default", "bot", "billing_refund", "billing") is not None

    def stop(tx: Transaction) -> None:
        tx.switches.stop("default", "tool", "billing_refund", by="ops", because="drill")

    def resume(tx: Transaction) -> bool:
        return tx.switches.resume("default", "tool", "billing_refund")

    def resume_in_vain(tx: Transaction) -> None:
        assert stopped(tx)
        assert resume(tx)
        assert not stopped(tx)
        raise HoldgateError("no")

    async def in_one_transaction(*work: Work[object]) -> list[object]:
        return await asyncio.gather(*(store.write(piece) for piece in work), return_exceptions=True)

    assert await in_one_transaction(stopped, stop, stopped) == [False, None, True]
    before, failed, after = await in_one_transaction(stopped, resume_in_vain, stopped)
    assert (before, type(failed), after) == (True, HoldgateError, True)
    assert await in_one_transaction(stopped, resume, stopped) == [True, True, False]


@pytest.mark.parametrize(
    ("scope", "target", "covered"),
    [
        ("everything", "", True),
        ("agent", "bot", True),
        ("agent", "billing_refund", False),
        ("tool", "billing_refund", True),
        ("tool", "billing", False),
        ("connector", "billing", True),
        ("connector", "bot", False),
    ],
)
def test_a_stop_covers_what_it_names(store: SqliteStore, scope: Scope, target: str, covered: bool) -> None:
    """T-10: by its scope and target together, and for its tenant only."""
    store.transact(lambda tx: tx.switches.stop("default", scope, target, by="ops", because="drill"))

    def stopped(tenant: str) -> bool:
        call = ("bot", "billing_refund", "billing")
        return store.look(lambda tx: tx.switches.stopping(tenant, *call)) is not None

    assert stopped("default") == covered
    assert not stopped("another")
