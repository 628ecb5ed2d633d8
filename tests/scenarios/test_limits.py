"""Previews that cannot write, budgets that cannot be overspent, stops that hold (semantics.md D, R, T-10)."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

import pytest

from gateway.identity.api_keys import revoke_key
from gateway.model import Call, Event
from gateway.telemetry.export import exporting
from gateway.tools.catalogue import UnknownTool
from tests.acme import Acme
from tests.house import Clock, house, run
from tests.living import EVERYTHING, REFUND, TENANT, Answer, Place, policy
from tests.scenarios.holding import outcome
from tests.services import free_port

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
def test_a_dry_run_of_no_write_arrives(place: Place, acme: Acme, how: str) -> None:
    """S22, V-8, D-2, D-3: of every write there is: previewed or refused, no mutating arrival, no key taken (D-7)."""

    async def scenario() -> None:
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

    run(scenario)


def test_a_budget_is_not_overspent_by_a_crowd(place: Place, acme: Acme) -> None:
    """S25, V-7, R-5: a budget of 10 and 50 calls at once: exactly 10 arrive, and the others are `over_budget`."""
    budget = {"count": "calls", "per": "principal", "window": "1h", "at_most": 10}
    place.write_policy(policy({"plain_refund": {"budget": budget}}))

    async def scenario() -> None:
        async with house(place) as gateway:
            crowd = (gateway.call("plain_refund", {**REFUND, "cents": cents}) for cents in range(1, 51))
            answers = await asyncio.gather(*crowd)
        done = [answer for answer in answers if answer["status"] == "done"]
        over = [answer for answer in answers if answer.get("code") == "over_budget"]
        assert (len(done), len(over)) == (10, 40)
        assert len(acme.mutating()) == 10

    run(scenario)


def test_money_is_spent_once_and_kept_while_unknown(place: Place, acme: Acme) -> None:
    """R-5, V-7: a definite failure gives its reservation back, an unknown outcome keeps it, a replay costs nothing."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    place.write_policy(policy({"plain_refund": {"budget": budget}}))

    async def scenario() -> None:
        async with house(place) as gateway:
            acme.fault("fail_before", 429, method="POST", times=None)
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

    run(scenario)


@pytest.mark.parametrize("over", [500, 100], ids=["at once", "after an approval"])
def test_a_budget_that_cannot_be_measured_fails_no_call(place: Place, acme: Acme, over: int) -> None:
    """L-1, R-5: once its intent stands a call goes out, whether or not a metric of its budgets can be taken."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    terms = {"approve_over": {"cents": over}, "budget": budget}
    place.write_policy(policy({"plain_refund": terms}, approval={"from": ["finance"], "count": 1}))

    def no_budgets(action: int, table: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, table) == (sqlite3.SQLITE_READ, "budgets") else sqlite3.SQLITE_OK

    async def scenario() -> None:
        async with house(place) as gateway:
            gateway.app.store._reader.set_authorizer(no_budgets)
            answer = await gateway.call("plain_refund", REFUND)
            if answer["status"] == "held":
                await gateway.vote(answer["action_id"], "fay")
                answer = await outcome(gateway, answer["action_id"])
            assert answer["status"] == "done"
        assert len(acme.mutating()) == 1

    with exporting(prometheus=("127.0.0.1", free_port()), otlp=None, file=""):
        run(scenario)


def test_what_one_budget_refuses_costs_none_of_the_others(place: Place, acme: Acme) -> None:
    """R-5: a call that does not fit into one of its budgets is charged to none, whichever was asked first."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    place.write_policy(policy({"plain_refund": {"budget": budget}}, budgets={"task": {"tool_calls": 1}}))

    async def scenario() -> None:
        async with house(place) as gateway:

            async def pay(task: str, cents: int) -> str:
                answer = await gateway.call("plain_refund", {**REFUND, "cents": cents}, header_task=task)
                return str(answer.get("code", answer["status"]))

            assert await pay("one", 500) == "done"
            assert await pay("one", 400) == "over_budget", "it would be the task's second call"
            assert await pay("two", 600) == "over_budget", "it would be more than the principal's sum"
            assert await pay("two", 500) == "done"
        assert len(acme.mutating()) == 2

    run(scenario)


def test_a_tasks_budget_ends_with_the_task(place: Place, acme: Acme) -> None:
    """I-16, R-5: a task's calls and its time are bounded, and another task has its own."""
    place.write_policy(policy(budgets={"task": {"tool_calls": 2, "wall_clock": "60s"}}))

    async def scenario() -> None:
        async with house(place) as gateway:

            async def look(task: str) -> str | None:
                answer = await gateway.call("plain_invoice", {"invoice": "inv_1001"}, header_task=task)
                return answer.get("code")

            assert [await look("one") for _ in range(3)] == [None, None, "over_budget"]
            assert await look("two") is None
            gateway.clock.turn(61)
            assert await look("two") == "over_budget"
            assert await look("three") is None

    run(scenario)


@pytest.mark.parametrize(
    ("carried", "whole"),
    [
        ({}, "all that it calls without a long silence"),
        ({"session": "s1"}, "its whole session"),
        ({"header_task": "one"}, None),
        ({"thread": "t1"}, None),
    ],
)
def test_a_used_up_budget_tells_who_set_up_a_client_that_it_names_no_task(
    place: Place, carried: dict[str, str], whole: str | None
) -> None:
    """I-16, R-5: where the task is the gateway's guess, a human learns it; the agent is told to stop all the same."""

    async def scenario() -> None:
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
            assert gateway.app.policy.reload_if_changed() is not None
            assert (await look())["status"] == "done"
            all_of_it = await look()
            assert all_of_it["message"] == "This needs 1 call, and the budget of 1 call in 1d has 0 left."
            assert "names no task" not in all_of_it["next"]

    place.write_policy(policy(budgets={"task": {"tool_calls": 1, "wall_clock": "90s"}, "on_exceeded": "stop"}))
    run(scenario)


@pytest.mark.parametrize(
    ("scope", "target"),
    [("everything", "*"), ("agent", "bot"), ("tool", "plain_refund"), ("connector", "plain")],
)
def test_a_stop_holds_from_its_commit(place: Place, acme: Acme, scope: Any, target: str) -> None:
    """T-10: what an operator has stopped does not arrive, is refused in clear words, and runs after the resumption."""

    async def scenario() -> None:
        async with house(place) as gateway:
            store = gateway.app.store
            await store.write(lambda tx: tx.switches.stop(TENANT, scope, target, by="olga", because="an incident"))
            answer = await gateway.call("plain_refund", REFUND)
            assert (answer["status"], answer["code"]) == ("refused", "switched_off")
            assert "an incident" in answer["message"]
            assert acme.journal() == []
            await store.write(lambda tx: tx.switches.resume(TENANT, scope, target))
            assert (await gateway.call("plain_refund", REFUND))["status"] == "done"

    run(scenario)


def test_a_revoked_key_admits_nothing_that_had_authenticated(place: Place, acme: Acme) -> None:
    """S33, C-4: a call that authenticated before the revocation is refused by the transaction that would admit it."""

    async def scenario() -> None:
        async with house(place) as gateway:
            caller = await gateway.app.api_keys.authenticate(place.keys["bot"])
            assert caller is not None
            revoked = gateway.app.store.write(lambda tx: revoke_key(tx, TENANT, caller.key_id, by="olga"))
            call = Call(caller, "plain_refund", REFUND)
            _, answer = await asyncio.gather(revoked, gateway.app.handle(call))
            assert (answer.status, answer.code) == ("refused", "not_permitted")
        assert acme.mutating() == []
        assert place.lines(event=Event.REFUSED)[-1]["code"] == "not_permitted"

    run(scenario)


def test_hidden_and_absent_are_worded_alike(place: Place, acme: Acme) -> None:
    """T-5: a tool that policy does not grant, and one that there is not, are the same protocol error."""
    place.write_policy(policy({"plain_refund": "deny"}))

    async def scenario() -> None:
        async with house(place) as gateway:
            said = []
            for name in ("plain_refund", "plain_absent"):
                with pytest.raises(UnknownTool) as unknown:
                    await gateway.call(name, REFUND)
                said.append(str(unknown.value).replace(name, "NAME"))
            assert said[0] == said[1]
        assert acme.journal() == []

    run(scenario)


def test_a_flood_of_refusals_is_told_by_its_number(place: Place, acme: Acme) -> None:
    """R-9: the first refusal has its line at once, all others of ten seconds one together, and none is left out."""
    place.write_policy(policy({"plain_invoice": {"rate": "1/h"}}))

    async def scenario() -> None:
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

    run(scenario)


def test_a_flood_does_not_tell_a_hidden_tool_from_none(place: Place, acme: Acme) -> None:
    """T-5, R-9: too fast for everything, the answers about hidden, absent and visible tools are one and the same."""
    place.write_policy(policy({"plain_refund": "deny"}))
    place.write_settings(limits={"calls_per_minute": 1})

    async def scenario() -> None:
        async with house(place) as gateway:
            await gateway.call("plain_invoice", {"invoice": "inv_1001"})
            names = ("plain_invoice", "plain_refund", "plain_absent", "plain_refund")
            answers = [await gateway.call(name, {"invoice": "inv_1001"}) for name in names]
            assert len({(answer["code"], answer["action_id"]) for answer in answers}) == 1
        told = [(line.get("tool"), line.get("times", 1)) for line in place.lines(event=Event.REFUSED)]
        assert sorted(told, key=str) == [("plain_invoice", 1), ("plain_refund", 2), (None, 1)]

    run(scenario)


def test_a_hidden_tool_does_not_show_by_its_rate(place: Place, acme: Acme) -> None:
    """T-5: asked for again and again, a tool that one policy rates and another denies stays an unknown one."""
    denial = {"policy": "no-refunds", "applies_to": {"groups": ["support"]}, "tools": {"plain_refund": "deny"}}
    (place.folder / "denial.yaml").write_text(json.dumps(denial))
    place.write_policy(policy({"plain_refund": {"rate": "1/h"}}))
    place.write_settings(policies=["policy.yaml", "denial.yaml"])

    async def scenario() -> None:
        async with house(place) as gateway:
            for _ in range(3):
                with pytest.raises(UnknownTool):
                    await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": 1})

    run(scenario)
