"""Approved by humans: bound to what was shown, decided again at execution, and spent once (semantics.md H)."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from gateway.identity.api_keys import create_key, revoke_key
from gateway.ledger_line import Event
from gateway.model import HoldState
from gateway.store.transaction import Transaction
from gateway.testing.driver import PATIENCE, cast
from tests.acme import Acme
from tests.edits import reloaded
from tests.gate import gate
from tests.house import Clock, house
from tests.place import REFUND, ROOT, TENANT, Place, held, policy
from tests.scenarios.holding import approve_then, ask, outcome
from tests.services import eventually

pytestmark = pytest.mark.anyio


def test_approved_and_executed_once(place: Place, acme: Acme) -> None:
    """H-9, H-10: nothing goes out while it waits; once approved the gateway runs it, without the agent, once."""
    place.write_policy(held())
    with gate(place) as gateway:
        asked = gateway.call("plain_refund", REFUND)
        assert asked["diff"] == [{"field": "balance_cents", "before": 6_400, "after": 5_900, "certainty": "predicted"}]
        assert gateway.call("plain_refund", REFUND)["action_id"] == asked["action_id"]
        assert acme.mutating() == []
        assert place.vote(asked["action_id"], "fay").accepted
        answer = gateway.settled(asked["action_id"])
        assert (answer["status"], answer["data"]["cents"]) == ("done", 500)
        assert gateway.call("plain_refund", REFUND)["status"] == "replayed"
    assert len(acme.mutating()) == 1
    hold = place.hold(asked["action_id"])
    (consumed,) = place.lines(event=Event.CONSUMED)
    assert (hold.state, consumed["digest"], consumed["approvers"]) == (HoldState.CONSUMED, hold.digest, ["fay"])  # V-3
    assert place.verify().verdict == 0


@pytest.mark.parametrize("first", ["who sweeps", "who executes"])
async def test_an_approval_does_not_wait_for_ever(place: Place, acme: Acme, first: str) -> None:
    """H-6: at the end of its execution window an approval is spent on nothing, and the same call asks anew."""
    place.write_policy(held(execute_within="60s"))
    clock = Clock()
    async with house(place, clock) as gateway:
        action = await ask(gateway)
        await approve_then(gateway, action, lambda tx: clock.stand_at(tx.now + 60_000))
        if first == "who executes":
            await gateway.app.reconciler.execute_approved()
            await gateway.app.executor.drain(PATIENCE)
        assert (await outcome(gateway, action))["code"] == "hold_expired"
        assert await ask(gateway) != action
    assert acme.mutating() == []


async def test_a_record_that_moved_makes_the_approval_stale(place: Place, acme: Acme) -> None:
    """H-4, S23: the state that the preview rested on changed before the execution: STALE, nothing goes out."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        acme.client.post("/invoices/inv_1001/refunds", json={"cents": 1, "reason": "counter"}).raise_for_status()
        await gateway.vote(action, "fay")
        assert (await outcome(gateway, action))["code"] == "hold_stale"
    assert len(acme.mutating()) == 1, "only the one that was made at the counter"


async def test_a_record_that_moved_elsewhere_makes_the_approval_stale_too(place: Place, acme: Acme) -> None:
    """H-4: what was shown is still so, but the connector's witness (the record's etag) says that something is not."""
    place.write_policy(held("crm_update_customer"))
    async with house(place) as gateway:
        asked = await gateway.call("crm_update_customer", {"customer": "cus_ada", "phone": "+46 70 555 01 13"})
        etag = acme.client.get("/customers/cus_ada").json()["etag"]
        at_the_counter = {"email": "ada@elsewhere.example"}
        acme.client.patch("/customers/cus_ada", json=at_the_counter, headers={"If-Match": etag}).raise_for_status()
        acme.forget()
        await gateway.vote(asked["action_id"], "fay")
        assert (await outcome(gateway, asked["action_id"]))["code"] == "hold_stale"
    assert acme.mutating() == []


async def test_a_tightened_policy_is_asked_again(place: Place, acme: Acme) -> None:
    """S17, H-4: what policy denies at execution does not run, whatever was approved; both policies are recorded."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        place.write_policy(policy({"plain_refund": {"max": {"cents": 100}}}))
        assert reloaded(gateway.app.policy) is not None
        await gateway.vote(action, "fay")
        assert (await outcome(gateway, action))["code"] == "not_permitted"
    assert place.hold(action).state is HoldState.DENIED_AT_EXECUTION
    assert acme.mutating() == []


async def test_a_policy_tightened_during_the_last_look_is_in_force(place: Place, acme: Acme) -> None:
    """S17, H-4: the record may take as long as it likes to be looked at; what policy says then is what counts."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        acme.fault("wait_for_release", "before", method="GET", times=1)
        await gateway.vote(action, "fay")
        await asyncio.to_thread(acme.wait_for_parked)
        place.write_policy(policy({"plain_refund": {"max": {"cents": 100}}}))
        reloaded(gateway.app.policy)
        acme.release()
        assert (await outcome(gateway, action))["code"] == "not_permitted"
    assert place.hold(action).state is HoldState.DENIED_AT_EXECUTION
    assert acme.mutating() == []


async def test_more_approvals_asked_for_later_are_needed(place: Place, acme: Acme) -> None:
    """H-4: a policy that asks for one more person puts an approved hold back to its voters."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        place.write_policy(held(count=2))
        reloaded(gateway.app.policy)
        await gateway.vote(action, "fay")
        await gateway.sweep()
        assert acme.mutating() == []
        assert (await gateway.vote(action, "finn")).state is HoldState.APPROVED
        assert (await outcome(gateway, action))["status"] == "done"
        decided = await gateway.ledger(event="HOLD_DECIDED", action_id=action)
        assert [line["state"] for line in decided] == ["approved", "pending", "approved"]
    assert len(acme.mutating()) == 1


async def test_other_approvers_asked_for_later_are_those_who_decide(place: Place, acme: Acme) -> None:
    """H-4: once it is back with its voters, whom policy names now may vote, and whom it named then no more."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        place.write_policy(held(**{"from": ["visitors"]}))
        reloaded(gateway.app.policy)
        await gateway.vote(action, "fay")
        await gateway.sweep()
        assert not (await gateway.vote(action, "finn")).accepted
        assert (await gateway.vote(action, "vic")).state is HoldState.APPROVED
        assert (await outcome(gateway, action))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_an_approval_is_no_way_around_a_budget(place: Place, acme: Acme) -> None:
    """R-5, H-4: what was approved is charged when it runs, and does not run when the budget was used up meanwhile."""
    budget = {"sum": "cents", "per": "principal", "window": "1h", "at_most": 1_000}
    terms = {"approve_over": {"cents": 100}, "budget": budget}
    place.write_policy(policy({"plain_refund": terms}, approval={"from": ["finance"], "count": 1}))
    async with house(place) as gateway:
        first, second = await ask(gateway, cents=600), await ask(gateway, cents=601, invoice="inv_1002")
        await gateway.vote(first, "fay")
        assert (await outcome(gateway, first))["status"] == "done"
        await gateway.vote(second, "fay")
        assert (await outcome(gateway, second))["code"] == "over_budget"
    assert len(acme.mutating()) == 1


@pytest.mark.parametrize(
    "since",
    [{"enabled": False}, {"groups": frozenset({"legal"})}, {"roles": frozenset()}],
    ids=["shut out", "of another group", "without the role"],
)
async def test_an_approver_who_is_none_any_more_does_not_count(place: Place, acme: Acme, since: dict[str, Any]) -> None:
    """S19, H-4: with its only approver shut out before the execution, or out of the group or the role, a hold waits."""
    place.write_policy(held())

    def change(tx: Transaction) -> None:
        fay = tx.people.get(TENANT, "fay")
        assert fay is not None
        if "enabled" in since:
            tx.people.enable(TENANT, "fay", False)
        else:
            tx.people.put(replace(fay, **since))

    async with house(place) as gateway:
        action = await ask(gateway)
        await approve_then(gateway, action, change)
        await gateway.sweep()
        assert place.hold(action).state is HoldState.PENDING
        assert acme.mutating() == []
        await gateway.vote(action, "finn")
        assert (await outcome(gateway, action))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_what_was_approved_with_a_key_that_was_revoked_since_is_not(place: Place, acme: Acme) -> None:
    """H-4, S19: who stole an approver's key approved nothing once it is taken back; its owner may, with a new one."""
    place.write_policy(held(count=2))

    def lost(tx: Transaction) -> str:
        fay = tx.people.get(TENANT, "fay")
        assert fay is not None
        revoke_key(tx, TENANT, place.keys["fay"].split("_")[1], by="olga")
        return create_key(tx, fay, by="olga")

    async with house(place) as gateway:
        action = await ask(gateway)
        await gateway.vote(action, "fay")
        key = await gateway.app.store.write(lost)
        assert (await gateway.vote(action, "finn")).state is HoldState.PENDING
        await gateway.sweep()
        assert acme.mutating() == []
        anew = await gateway.app.store.write(lambda tx: cast(tx, action, key))
        assert anew.state is HoldState.APPROVED
        assert (await outcome(gateway, action))["status"] == "done"
    assert len(acme.mutating()) == 1


@pytest.mark.parametrize("tool", ["plain_refund", "looked_pay_out"])
async def test_a_stop_after_the_approval_holds(place: Place, acme: Acme, tool: str) -> None:
    """T-10: with a preview to make first or without, nothing of it is even read, and its approval is not spent."""
    place.write_policy(held(tool))
    async with house(place) as gateway:
        action = await ask(gateway, tool)
        acme.forget()

        def stop(tx: Transaction) -> None:
            tx.switches.stop(TENANT, "tool", tool, by="olga", because="an incident")

        await approve_then(gateway, action, stop)
        assert (await outcome(gateway, action))["code"] == "switched_off"
        assert (await gateway.call(tool, {**REFUND, "cents": 1}))["code"] == "switched_off"
    assert acme.journal() == []


@pytest.mark.parametrize("tool", ["plain_refund", "looked_pay_out"])
async def test_a_key_that_was_revoked_after_the_approval_buys_nothing(place: Place, acme: Acme, tool: str) -> None:
    """C-4, S33: with the requester's key revoked, its approved call does not run."""
    place.write_policy(held(tool))
    async with house(place) as gateway:
        action = await ask(gateway, tool)
        acme.forget()
        key = place.keys["bot"].split("_")[1]
        await approve_then(gateway, action, lambda tx: revoke_key(tx, TENANT, key, by="olga"))
        await gateway.sweep()
        assert place.hold(action).state is HoldState.DENIED_AT_EXECUTION
    assert acme.journal() == []


async def test_what_somebody_asked_who_is_shut_out_by_now_does_not_run(place: Place, acme: Acme) -> None:
    """H-4: it is denied, and does not ask anew: not the call has changed, but who may make it."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        await approve_then(gateway, action, lambda tx: tx.people.enable(TENANT, "bot", False))
        await gateway.sweep()
        hold = await gateway.app.store.read(lambda tx: tx.holds.get(action))
        assert hold is not None
        assert hold.state is HoldState.DENIED_AT_EXECUTION
        assert (await gateway.ledger(event="HOLD_DECIDED", action_id=action))[-1]["code"] == "not_permitted"
    assert acme.mutating() == []


async def test_the_last_look_is_taken_once_at_a_time(place: Place, acme: Acme) -> None:
    """H-10: the gateway looks for what was approved four times a second, and an upstream may take longer than that."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        acme.forget()
        acme.fault("wait_for_release", "before", method="GET", times=None)
        await gateway.vote(action, "fay")
        await asyncio.to_thread(acme.wait_for_parked)
        for _ in range(3):
            await gateway.app.reconciler.execute_approved()
        acme.recover()
        assert (await outcome(gateway, action))["status"] == "done"
    assert [entry["method"] for entry in acme.journal()] == ["GET", "POST"]


async def test_an_upstream_that_cannot_be_looked_at_is_not_asked_all_the_time(place: Place, acme: Acme) -> None:
    """H-10, R-6: what was approved waits for a while before it is looked at again, and runs once that can be done."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        acme.forget()
        acme.fault("fail_before", 503, method="GET", times=None)
        await gateway.vote(action, "fay")
        await asyncio.to_thread(eventually, acme.journal, "the first look")
        await gateway.app.executor.drain(PATIENCE)
        looks = len(acme.journal())
        for _ in range(3):
            await gateway.app.reconciler.execute_approved()
            await gateway.app.executor.drain(PATIENCE)
        assert len(acme.journal()) == looks
        acme.recover()
        assert (await gateway.ended(action))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_a_tool_that_changed_after_the_approval_does_not_run(place: Place, acme: Acme) -> None:
    """S16, S41, T-1: the tool's promise changed over a restart: the approval is void, the same call asks anew."""
    tools = (ROOT / "tests" / "acme_tools.py").read_text()
    own = place.folder / "tools.py"
    own.write_text(tools)
    place.connector_files[1] = str(own)
    place.write_settings()
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
    own.write_text(tools.replace("Refund an upstream that neither", "Refund, twice, an upstream that neither"))
    async with house(place) as gateway:
        await gateway.vote(action, "fay")
        assert (await outcome(gateway, action))["code"] == "hold_stale"
        assert await ask(gateway) != action
    assert acme.mutating() == []


async def test_arguments_that_were_exchanged_do_not_run(place: Place, acme: Acme) -> None:
    """S16: other arguments put into the approved action's place, even sealed ones, void the approval."""
    place.write_policy(held())
    async with house(place) as gateway:
        small, large = await ask(gateway), await ask(gateway, cents=6_000)

        def exchange(tx: Transaction) -> None:
            sealed = tx.bodies.get(large, "arguments")
            assert sealed is not None
            tx.bodies.put(small, "arguments", sealed, keep_ms=None)

        await approve_then(gateway, small, exchange)
        assert (await outcome(gateway, small))["code"] == "hold_stale"
    assert acme.mutating() == []


async def test_arguments_sealed_anew_do_not_run(place: Place, acme: Acme) -> None:
    """S16, H-1: even whoever has the gateway's key cannot run other arguments on an approval: the digest differs."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        forged = gateway.app.keyring.seal(action, "arguments", b'{"invoice": "inv_1001", "cents": 6000}')
        await approve_then(gateway, action, lambda tx: tx.bodies.put(action, "arguments", forged, keep_ms=None))
        assert (await outcome(gateway, action))["code"] == "hold_stale"
    assert acme.mutating() == []


async def test_two_gateways_spend_one_approval_once(place: Place, acme: Acme) -> None:
    """S15, H-3: two gateways over one folder race for every approval; each is spent once, and arrives once."""
    place.write_policy(held("looked_pay_out"))
    async with house(place) as one, house(place) as two:
        actions = [await ask(one, "looked_pay_out", cents=cents) for cents in range(1, 9)]

        def approve(tx: Transaction) -> None:
            for action in actions:
                cast(tx, action, place.keys["fay"])

        await one.app.store.write(approve)
        await asyncio.gather(*(each.app.reconciler.execute_approved() for each in (one, two)))
        await asyncio.gather(*(each.app.executor.drain(PATIENCE) for each in (one, two)))
        answers = [await one.ended(action) for action in actions]
    assert {answer["status"] for answer in answers} == {"done"}
    assert len(acme.mutating()) == len(actions)
    consumed = [line["action"] for line in place.lines(event=Event.CONSUMED)]
    assert sorted(consumed) == sorted(actions)
    assert place.verify().verdict == 0
