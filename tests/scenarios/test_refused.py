"""Refusals that give nothing away, and floods of them that are told by their number (semantics.md T-5, R-9)."""

from __future__ import annotations

import json

import pytest

from gateway.ledger_line import Event
from gateway.tools.catalogue import UnknownTool
from tests.acme import Acme
from tests.house import Clock, house
from tests.place import REFUND, Place, policy

pytestmark = pytest.mark.anyio


async def test_hidden_and_absent_are_worded_alike(place: Place, acme: Acme) -> None:
    """T-5: a tool that policy does not grant, and one that there is not, are the same protocol error."""
    place.write_policy(policy({"plain_refund": "deny"}))
    async with house(place) as gateway:
        said = []
        for name in ("plain_refund", "plain_absent"):
            with pytest.raises(UnknownTool) as unknown:
                await gateway.call(name, REFUND)
            said.append(str(unknown.value).replace(name, "NAME"))
        assert said[0] == said[1]
    assert acme.journal() == []


async def test_a_flood_of_refusals_is_told_by_its_number(place: Place, acme: Acme) -> None:
    """R-9: the first refusal has its line at once, all others of ten seconds one together, and none is left out."""
    place.write_policy(policy({"plain_invoice": {"rate": "1/h"}}))
    clock = Clock()
    async with house(place, clock) as gateway:

        async def lines() -> list[int]:
            found = await gateway.ledger(event=Event.REFUSED)
            assert {line["code"] for line in found} <= {"rate_limited"}
            assert {(line["tool"], line["principal"]) for line in found} <= {("plain_invoice", "bot")}
            return [line.get("times", 1) for line in found]

        async def ask(times: int) -> set[str]:
            answers = [await gateway.call("plain_invoice", {"invoice": "inv_1001"}) for _ in range(times)]
            assert {answer["code"] for answer in answers} == {"rate_limited"}
            assert all(answer["retry_after_ms"] > 0 for answer in answers)
            return {answer["action_id"] for answer in answers}

        assert (await gateway.call("plain_invoice", {"invoice": "inv_1001"}))["status"] == "done"
        first = await ask(20)
        assert await lines() == [1]
        clock.turn(10)
        await gateway.sweep()
        assert await lines() == [1, 19]
        assert await ask(5) == first
        clock.turn(10)
        await gateway.sweep()
        assert await lines() == [1, 19, 5]
        clock.turn(10)
        await gateway.sweep()
        assert await ask(3) != first
        assert await lines() == [1, 19, 5, 1]
    assert [line.get("times", 1) for line in place.lines(event=Event.REFUSED)] == [1, 19, 5, 1, 2]
    assert place.verify().verdict == 0


async def test_a_flood_does_not_tell_a_hidden_tool_from_none(place: Place, acme: Acme) -> None:
    """T-5, R-9: too fast for everything, the answers about hidden, absent and visible tools are one and the same."""
    place.write_policy(policy({"plain_refund": "deny"}))
    place.write_settings(limits={"calls_per_minute": 1})
    async with house(place) as gateway:
        await gateway.call("plain_invoice", {"invoice": "inv_1001"})
        names = ("plain_invoice", "plain_refund", "plain_absent", "plain_refund")
        answers = [await gateway.call(name, {"invoice": "inv_1001"}) for name in names]
        assert len({(answer["code"], answer["action_id"]) for answer in answers}) == 1
    told = [(line.get("tool"), line.get("times", 1)) for line in place.lines(event=Event.REFUSED)]
    assert sorted(told, key=str) == [("plain_invoice", 1), ("plain_refund", 2), (None, 1)]


async def test_a_hidden_tool_does_not_show_by_its_rate(place: Place, acme: Acme) -> None:
    """T-5: asked for again and again, a tool that one policy rates and another denies stays an unknown one."""
    denial = {"policy": "no-refunds", "applies_to": {"groups": ["support"]}, "tools": {"plain_refund": "deny"}}
    (place.folder / "denial.yaml").write_text(json.dumps(denial))
    place.write_policy(policy({"plain_refund": {"rate": "1/h"}}))
    place.write_settings(policies=["policy.yaml", "denial.yaml"])
    async with house(place) as gateway:
        for _ in range(3):
            with pytest.raises(UnknownTool):
                await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": 1})
