"""Previews that cannot write (semantics.md D)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acme import Acme
from tests.house import house
from tests.place import EVERYTHING, REFUND, Place, policy

pytestmark = pytest.mark.anyio

WRITES: dict[str, dict[str, Any]] = {
    "billing_refund": {"invoice": "inv_1001", "cents": 500, "cause": "damaged"},
    "crm_update_customer": {"customer": "cus_ada", "phone": "+46 70 555 01 13"},
    "tickets_reply": {"ticket": "tic_2001", "text": "On its way."},
    "plain_refund": REFUND,
    "plain_overreach": REFUND,
    "keyed_pay_back": REFUND,
    "looked_pay_out": REFUND,
}

PREVIEWED = ("billing_refund", "crm_update_customer", "tickets_reply", "plain_refund")


@pytest.mark.parametrize("how", ["argument", "carried"])
async def test_a_dry_run_of_no_write_arrives(place: Place, acme: Acme, how: str) -> None:
    """S22, V-8, D-2, D-3: of every write there is: previewed or refused, no mutating arrival, no key taken (D-7)."""
    async with house(place) as gateway:
        writes = {name for name, tool in gateway.app.catalogue.tools.items() if tool.writes}
        assert writes == WRITES.keys() <= EVERYTHING.keys()
        for tool, args in WRITES.items():
            if how == "argument":
                answer = await gateway.call(tool, {**args, "dry_run": True})
            else:
                answer = await gateway.call(tool, args, preview=True)
            if tool in PREVIEWED:
                assert answer["status"] == "previewed", answer
                assert {change["certainty"] for change in answer["diff"]} <= {"verified", "predicted", "unknown"}
            elif tool == "plain_overreach":
                assert answer["code"] == "egress_blocked"
            else:
                assert answer["code"] == "dry_run_unsupported"
        assert acme.mutating() == []
        for tool in PREVIEWED:
            assert (await gateway.call(tool, WRITES[tool]))["status"] == "done"
    assert len(acme.mutating()) == len(PREVIEWED)


async def test_a_dry_run_costs_no_budget_and_asks_nobody(place: Place, acme: Acme) -> None:
    """D-4: one that could not be paid, or that a human would be asked for, is shown; and it stands on the ledger."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 500}
    tools = {"plain_refund": {"budget": budget}, "billing_refund": "hold"}
    place.write_policy(policy(tools, approval={"from": ["finance"], "count": 1}))
    async with house(place) as gateway:
        for tool in ("plain_refund", "plain_refund", "billing_refund"):
            answer = await gateway.call(tool, {**WRITES[tool], "dry_run": True})
            assert answer["status"] == "previewed", answer
            (line,) = await gateway.ledger(event="PREVIEW", action_id=answer["action_id"])
            assert (line["tool"], line["principal"]) == (tool, "bot")
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done", "its budget was still whole"
        assert (await gateway.call("plain_refund", {**REFUND, "dry_run": True}))["status"] == "previewed"
        assert await gateway.app.store.read(lambda tx: tx.holds.all("default")) == []
    assert len(acme.mutating()) == 1
