"""Budgets that cannot be overspent, and what they tell of themselves (semantics.md R-5, I-16)."""

from __future__ import annotations

import asyncio
import sqlite3

import pytest

from gateway.model import HoldState
from gateway.telemetry.export import exporting
from tests.acme import Acme
from tests.edits import reloaded
from tests.gate import Answer
from tests.house import house
from tests.place import REFUND, Place, policy
from tests.scenarios.holding import outcome
from tests.services import free_port

pytestmark = pytest.mark.anyio


async def test_a_budget_is_not_overspent_by_a_crowd(place: Place, acme: Acme) -> None:
    """S25, V-7, R-5: a budget of 10 and 50 calls at once: exactly 10 arrive, and the others are `over_budget`."""
    budget = {"count": "calls", "per": "principal", "window": "1h", "at_most": 10}
    place.write_policy(policy({"plain_refund": {"budget": budget}}))
    async with house(place) as gateway:
        crowd = (gateway.call("plain_refund", {**REFUND, "cents": cents}) for cents in range(1, 51))
        answers = await asyncio.gather(*crowd)
    done = [answer for answer in answers if answer["status"] == "done"]
    over = [answer for answer in answers if answer.get("code") == "over_budget"]
    assert (len(done), len(over)) == (10, 40)
    assert len(acme.mutating()) == 10


async def test_money_is_spent_once_and_kept_while_unknown(place: Place, acme: Acme) -> None:
    """R-5, V-7: a definite failure gives its reservation back, an unknown outcome keeps it, a replay costs nothing."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    place.write_policy(policy({"plain_refund": {"budget": budget}}))
    async with house(place) as gateway:
        acme.fault("fail_before", 425, method="POST", times=None)
        busy = await gateway.call("plain_refund", {**REFUND, "cents": 1_000})
        assert busy["code"] == "upstream_busy"
        acme.start_over()
        assert (await gateway.call("plain_refund", {**REFUND, "cents": 400}))["status"] == "done"
        assert (await gateway.call("plain_refund", {**REFUND, "cents": 400}))["status"] == "replayed"
        acme.fault("drop_before", method="POST")
        assert (await gateway.call("plain_refund", {**REFUND, "cents": 500}))["status"] == "unknown"
        over = await gateway.call("plain_refund", {**REFUND, "cents": 101})
        assert over["code"] == "over_budget"
        assert over["message"] == "This needs 101 USD cents, and the budget of 1000 USD cents in 1h has 100 left."
        assert (await gateway.call("plain_refund", {**REFUND, "cents": 100}))["status"] == "done"


@pytest.mark.parametrize("over", [500, 100], ids=["at once", "after an approval"])
async def test_a_budget_that_cannot_be_measured_fails_no_call(place: Place, acme: Acme, over: int) -> None:
    """L-1, R-5: once its intent stands a call goes out, whether or not a metric of its budgets can be taken."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    terms = {"approve_over": {"cents": over}, "budget": budget}
    place.write_policy(policy({"plain_refund": terms}, approval={"from": ["finance"], "count": 1}))

    def no_budgets(action: int, table: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, table) == (sqlite3.SQLITE_READ, "budgets") else sqlite3.SQLITE_OK

    with exporting(prometheus=("127.0.0.1", free_port()), otlp=None, file=""):
        async with house(place) as gateway:
            gateway.app.store._reader.set_authorizer(no_budgets)
            answer = await gateway.call("plain_refund", REFUND)
            if answer["status"] == "held":
                await gateway.vote(answer["action_id"], "fay")
                answer = await outcome(gateway, answer["action_id"])
            assert answer["status"] == "done"
        assert len(acme.mutating()) == 1


async def test_nobody_is_asked_to_approve_what_cannot_be_paid(place: Place, acme: Acme) -> None:
    """R-3, R-5: a call that would be held and is over a budget, or late, is refused at once; one that fits is held."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    terms = {"approve_over": {"cents": 500}, "budget": budget}
    clock = {"task": {"wall_clock": "60s"}}
    place.write_policy(policy({"plain_refund": terms}, approval={"from": ["finance"], "count": 1}, budgets=clock))
    async with house(place) as gateway:

        async def pay(cents: int, task: str = "one") -> str:
            answer = await gateway.call("plain_refund", {**REFUND, "cents": cents}, header_task=task)
            return str(answer["code"] if answer["status"] == "refused" else answer["status"])

        assert await pay(400) == "done"
        assert await pay(601) == "over_budget"
        assert await pay(600) == "held"
        assert await pay(599) == "held", "an approval that is waited for reserves nothing"
        gateway.clock.turn(61)
        assert await pay(598) == "over_budget"
        assert await pay(598, "two") == "held"
        waiting = await gateway.app.store.read(lambda tx: tx.holds.waiting()[HoldState.PENDING])
        assert waiting[0] == 3
    assert len(acme.mutating()) == 1


async def test_what_one_budget_refuses_costs_none_of_the_others(place: Place, acme: Acme) -> None:
    """R-5: a call that does not fit into one of its budgets is charged to none, whichever was asked first."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    place.write_policy(policy({"plain_refund": {"budget": budget}}, budgets={"task": {"tool_calls": 1}}))
    async with house(place) as gateway:

        async def pay(task: str, cents: int) -> str:
            answer = await gateway.call("plain_refund", {**REFUND, "cents": cents}, header_task=task)
            return str(answer.get("code", answer["status"]))

        assert await pay("one", 500) == "done"
        assert await pay("one", 400) == "over_budget", "it would be the task's second call"
        assert await pay("two", 600) == "over_budget", "it would be more than the principal's sum"
        assert await pay("two", 500) == "done"
    assert len(acme.mutating()) == 2


async def test_a_tasks_budget_ends_with_the_task(place: Place, acme: Acme) -> None:
    """I-16, R-5: a task's calls and its time are bounded, and another task has its own."""
    place.write_policy(policy(budgets={"task": {"tool_calls": 2, "wall_clock": "60s"}}))
    async with house(place) as gateway:

        async def look(task: str) -> str | None:
            answer = await gateway.call("plain_invoice", {"invoice": "inv_1001"}, header_task=task)
            return answer.get("code")

        assert [await look("one") for _ in range(3)] == [None, None, "over_budget"]
        assert await look("two") is None
        gateway.clock.turn(61)
        assert await look("two") == "over_budget"
        assert await look("three") is None


@pytest.mark.parametrize(
    ("carried", "whole"),
    [
        ({}, "all that it calls without a long silence"),
        ({"session": "s1"}, "its whole session"),
        ({"header_task": "one"}, None),
        ({"thread": "t1"}, None),
    ],
)
async def test_a_used_up_budget_tells_who_set_up_a_client_that_it_names_no_task(
    place: Place, carried: dict[str, str], whole: str | None
) -> None:
    """I-16, R-5: where the task is the gateway's guess, a human learns it; the agent is told to stop all the same."""

    place.write_policy(policy(budgets={"task": {"tool_calls": 1, "wall_clock": "90s"}, "on_exceeded": "stop"}))
    async with house(place) as gateway:

        async def look() -> Answer:
            return await gateway.call("plain_invoice", {"invoice": "inv_1001"}, **carried)

        assert (await look())["status"] == "done"
        over = await look()
        assert over["message"] == "This needs 1 call, and the budget of 1 call per task has 0 left."
        gateway.clock.turn(90)
        late = await look()
        assert late["message"] == "This task has run for more than 90s."
        for refused in (over, late):
            assert refused["code"] == "over_budget"
            assert refused["retry"] == "no"
            assert refused["next"].startswith("Stop here and tell the user.")
            assert ("names no task" in refused["next"]) is (whole is not None)
            assert whole is None or whole in refused["next"]
        # What is the principal's, and no task's, would be used up under any name.
        place.write_policy(policy(budgets={"principal": {"tool_calls": 1, "window": "1d"}}))
        assert reloaded(gateway.app.policy) is not None
        assert (await look())["status"] == "done"
        all_of_it = await look()
        assert all_of_it["message"] == "This needs 1 call, and the budget of 1 call in 1d has 0 left."
        assert "names no task" not in all_of_it["next"]
