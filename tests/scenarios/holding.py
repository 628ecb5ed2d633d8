"""Calls that are held, and what comes of them."""

from __future__ import annotations

from collections.abc import Callable

from gateway.model import HoldState
from gateway.store.transaction import Transaction
from gateway.testing.driver import cast
from tests.gate import Answer
from tests.house import House
from tests.place import REFUND


async def ask(gateway: House, tool: str = "plain_refund", **args: object) -> str:
    """A call that is held; its action id."""
    answer = await gateway.call(tool, {**REFUND, **args})
    assert (answer["status"], answer["code"]) == ("held", "approval_needed")
    return str(answer["action_id"])


async def approve_then(gateway: House, action_id: str, then: Callable[[Transaction], object]) -> None:
    """Approve, and have `then` happen in the same transaction, so that no execution comes between."""

    def both(tx: Transaction) -> None:
        assert cast(tx, action_id, gateway.place.keys["fay"]).state is HoldState.APPROVED
        then(tx)

    await gateway.app.store.write(both)


async def outcome(gateway: House, action_id: str) -> Answer:
    """What came of a hold after a sweep."""
    await gateway.sweep()
    return await gateway.ended(action_id)
