"""Previews that cannot write (semantics.md D)."""

from __future__ import annotations

from typing import Any

import pytest

from tests.acme import Acme
from tests.house import house
from tests.place import EVERYTHING, REFUND, Place

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
