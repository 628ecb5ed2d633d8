"""Held for humans: asked once, bound to what was shown, decided again at execution, and spent once (semantics.md H)."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable

import pytest

from gateway.identity.api_keys import revoke_key
from gateway.model import Event, HoldState, State
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.house import Clock, House, house, run
from tests.living import PATIENCE, ROOT, TENANT, Answer, Place, cast, gate, held, policy

REFUND = {"invoice": "inv_1001", "cents": 500}


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


@pytest.mark.parametrize("who", ["olga", "vic", "bot", "clerk"])
def test_who_may_not_vote_changes_nothing(place: Place, acme: Acme, who: str) -> None:
    """S14, H-5: the owner, someone of no asked group, the requester and a fellow agent are refused, on the ledger."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            vote = await gateway.vote(action, who)
            await gateway.sweep()
            assert (vote.accepted, vote.state) == (False, HoldState.PENDING)
            assert await gateway.state(action) is State.HELD
        (line,) = place.lines(event=Event.VOTE)
        assert (line["principal"], line["accepted"]) == (who, False)
        assert acme.mutating() == []

    run(scenario)


def test_two_seats_need_two_people(place: Place, acme: Acme) -> None:
    """H-5: one person's vote, cast twice, fills one seat; a second person's fills the other."""
    place.write_policy(held(count=2))

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            for _ in range(2):
                assert (await gateway.vote(action, "fay")).state is HoldState.PENDING
            await gateway.sweep()
            assert acme.mutating() == []
            assert (await gateway.vote(action, "finn")).state is HoldState.APPROVED
            assert (await outcome(gateway, action))["status"] == "done"
        assert len(acme.mutating()) == 1

    run(scenario)


def test_one_no_is_no(place: Place, acme: Acme) -> None:
    """H-5: a denial ends the hold whatever was approved before, and the same call gets the same no."""
    place.write_policy(held(count=2))

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            await gateway.vote(action, "fay")
            await gateway.vote(action, "finn", "deny")
            assert not (await gateway.vote(action, "finn")).accepted
            assert (await outcome(gateway, action))["code"] == "hold_denied"
            assert (await gateway.call("plain_refund", REFUND))["code"] == "hold_denied"
        assert acme.mutating() == []

    run(scenario)


@pytest.mark.parametrize(("early", "accepted"), [(1, True), (0, False), (-1, False)])
def test_the_stores_time_decides_on_expiry(place: Place, acme: Acme, early: int, accepted: bool) -> None:
    """S18, H-6: a vote one millisecond before the expiry counts, at it or after it does not."""
    place.write_policy(held(expires="60s"))
    clock = Clock()

    async def scenario() -> None:
        async with house(place, clock) as gateway:
            action = await ask(gateway)
            hold = await gateway.app.store.read(lambda tx: tx.holds.get(action))
            assert hold is not None
            clock.stand_at(hold.expires_at - early)
            assert (await gateway.vote(action, "fay")).accepted is accepted
            answer = await outcome(gateway, action)
            assert (answer["status"], answer.get("code")) == (
                ("done", None) if accepted else ("refused", "hold_expired")
            )
        assert len(acme.mutating()) == int(accepted)

    run(scenario)


def test_an_approval_does_not_wait_for_ever(place: Place, acme: Acme) -> None:
    """H-6: an approval whose execution window has passed is spent on nothing, and the same call asks anew."""
    place.write_policy(held(execute_within="60s"))
    clock = Clock()

    async def scenario() -> None:
        async with house(place, clock) as gateway:
            action = await ask(gateway)
            await approve_then(gateway, action, lambda tx: clock.stand_at(tx.now + 60_000))
            assert (await outcome(gateway, action))["code"] == "hold_expired"
            assert await ask(gateway) != action
        assert acme.mutating() == []

    run(scenario)


def test_a_cancelled_hold_never_runs(place: Place, acme: Acme) -> None:
    """H-2: its own agent may take it back, nobody else's; a vote after that is refused."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            stranger = await gateway.call("cancel_action", {"action_id": action}, as_="clerk")
            assert stranger["code"] == "action_not_found"
            assert (await gateway.call("cancel_action", {"action_id": action}))["status"] == "done"
            assert not (await gateway.vote(action, "fay")).accepted
            assert (await outcome(gateway, action))["code"] == "hold_cancelled"
        assert acme.mutating() == []

    run(scenario)


def test_a_record_that_moved_makes_the_approval_stale(place: Place, acme: Acme) -> None:
    """H-4, S23: the state that the preview rested on changed before the execution: STALE, nothing goes out."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            acme.client.post("/invoices/inv_1001/refunds", json={"cents": 1, "reason": "counter"}).raise_for_status()
            await gateway.vote(action, "fay")
            assert (await outcome(gateway, action))["code"] == "hold_stale"
        assert len(acme.mutating()) == 1, "only the one that was made at the counter"

    run(scenario)


def test_a_tightened_policy_is_asked_again(place: Place, acme: Acme) -> None:
    """S17, H-4: what policy denies at execution does not run, whatever was approved; both policies are recorded."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            place.write_policy(policy({"plain_refund": {"max": {"cents": 100}}}))
            assert gateway.app.policy.reload_if_changed() is not None
            await gateway.vote(action, "fay")
            assert (await outcome(gateway, action))["code"] == "not_permitted"
        assert place.hold(action).state is HoldState.DENIED_AT_EXECUTION
        assert acme.mutating() == []

    run(scenario)


def test_more_approvals_asked_for_later_are_needed(place: Place, acme: Acme) -> None:
    """H-4: a policy that asks for one more person puts an approved hold back to its voters."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            place.write_policy(held(count=2))
            gateway.app.policy.reload_if_changed()
            await gateway.vote(action, "fay")
            await gateway.sweep()
            assert acme.mutating() == []
            assert (await gateway.vote(action, "finn")).state is HoldState.APPROVED
            assert (await outcome(gateway, action))["status"] == "done"
        assert len(acme.mutating()) == 1

    run(scenario)


def test_an_approver_who_was_disabled_does_not_count(place: Place, acme: Acme) -> None:
    """S19, H-4: with its only approver shut out before the execution, the hold waits again."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            await approve_then(gateway, action, lambda tx: tx.people.enable(TENANT, "fay", False))
            await gateway.sweep()
            hold = await gateway.app.store.read(lambda tx: tx.holds.get(action))
            assert hold is not None
            assert hold.state is HoldState.PENDING
            assert acme.mutating() == []
            await gateway.vote(action, "finn")
            assert (await outcome(gateway, action))["status"] == "done"
        assert len(acme.mutating()) == 1

    run(scenario)


@pytest.mark.parametrize("tool", ["plain_refund", "looked_pay_out"])
def test_a_stop_after_the_approval_holds(place: Place, acme: Acme, tool: str) -> None:
    """T-10: with a preview to make first or without, what would spend the approval looks at the switches."""
    place.write_policy(held(tool))

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway, tool)

            def stop(tx: Transaction) -> None:
                tx.switches.stop(TENANT, "tool", tool, by="olga", because="an incident")

            await approve_then(gateway, action, stop)
            assert (await outcome(gateway, action))["code"] == "switched_off"
            assert (await gateway.call(tool, {**REFUND, "cents": 1}))["code"] == "switched_off"
        assert acme.mutating() == []

    run(scenario)


@pytest.mark.parametrize("tool", ["plain_refund", "looked_pay_out"])
def test_a_key_that_was_revoked_after_the_approval_buys_nothing(place: Place, acme: Acme, tool: str) -> None:
    """C-4, S33: with the requester's key revoked, its approved call does not run."""
    place.write_policy(held(tool))

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway, tool)
            key = place.keys["bot"].split("_")[1]
            await approve_then(gateway, action, lambda tx: revoke_key(tx, TENANT, key, by="olga"))
            await gateway.sweep()
            assert place.hold(action).state is HoldState.DENIED_AT_EXECUTION
        assert acme.mutating() == []

    run(scenario)


def test_a_vote_for_something_else_does_not_count(place: Place, acme: Acme) -> None:
    """H-1, T-7: a vote names the digest that was shown; another than the stored one is refused."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            vote = await gateway.vote(action, "fay", shown="0" * 64)
            await gateway.sweep()
            assert not vote.accepted
            assert await gateway.state(action) is State.HELD
        assert acme.mutating() == []

    run(scenario)


def test_a_tool_that_changed_after_the_approval_does_not_run(place: Place, acme: Acme) -> None:
    """S16, S41, T-1: the tool's promise changed over a restart: the approval is void, the same call asks anew."""
    tools = (ROOT / "tests" / "acme_tools.py").read_text()
    own = place.folder / "tools.py"
    own.write_text(tools)
    place.connector_files[1] = str(own)
    place.write_settings()
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
        own.write_text(tools.replace("Refund an upstream that neither", "Refund, twice, an upstream that neither"))
        async with house(place) as gateway:
            await gateway.vote(action, "fay")
            assert (await outcome(gateway, action))["code"] == "hold_stale"
            assert await ask(gateway) != action
        assert acme.mutating() == []

    run(scenario)


def test_arguments_that_were_exchanged_do_not_run(place: Place, acme: Acme) -> None:
    """S16: other arguments put into the approved action's place, even sealed ones, void the approval."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            small, large = await ask(gateway), await ask(gateway, cents=6_000)

            def exchange(tx: Transaction) -> None:
                sealed = tx.bodies.get(large, "arguments")
                assert sealed is not None
                tx.bodies.put(small, "arguments", sealed, keep_ms=None)

            await approve_then(gateway, small, exchange)
            assert (await outcome(gateway, small))["code"] == "hold_stale"
        assert acme.mutating() == []

    run(scenario)


def test_arguments_sealed_anew_do_not_run(place: Place, acme: Acme) -> None:
    """S16, H-1: even whoever has the gateway's key cannot run other arguments on an approval: the digest differs."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            forged = gateway.app.keyring.seal(action, "arguments", b'{"invoice": "inv_1001", "cents": 6000}')
            await approve_then(gateway, action, lambda tx: tx.bodies.put(action, "arguments", forged, keep_ms=None))
            assert (await outcome(gateway, action))["code"] == "hold_stale"
        assert acme.mutating() == []

    run(scenario)


def test_two_gateways_spend_one_approval_once(place: Place, acme: Acme) -> None:
    """S15, H-3: two gateways over one folder race for every approval; each is spent once, and arrives once."""
    place.write_policy(held("looked_pay_out"))

    async def scenario() -> None:
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

    run(scenario)


def test_too_many_questions_are_not_asked(place: Place, acme: Acme) -> None:
    """H-13: a principal's open questions are capped; another's are counted apart."""
    place.write_policy(held())
    place.write_settings(limits={"pending_holds": 2})

    async def scenario() -> None:
        async with house(place) as gateway:
            for cents in (1, 2):
                await ask(gateway, cents=cents)
            third = await gateway.call("plain_refund", {**REFUND, "cents": 3})
            assert (third["code"], third["retry"]) == ("too_many_holds", "later")
            assert (await gateway.call("plain_refund", REFUND, as_="clerk"))["status"] == "held"
        assert acme.mutating() == []

    run(scenario)


def test_a_vote_written_past_the_gateway_is_no_vote(place: Place, acme: Acme) -> None:
    """H-3, V-3: who can write into the database, and has not the gateway's key, cannot approve for anybody."""
    place.write_policy(held())

    async def scenario() -> None:
        async with house(place) as gateway:
            action = await ask(gateway)
            now, digest = gateway.clock(), place.hold(action).digest
            file = sqlite3.connect(place.home.database, isolation_level=None, timeout=PATIENCE)
            forged = (action, TENANT, "fay", "approve", digest, "", now, "0" * 64)
            file.execute("INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", forged)
            file.execute(
                "UPDATE holds SET state = 'approved', execute_by = ? WHERE action = ?", (now + 900_000, action)
            )
            file.close()
            await gateway.sweep()
            assert await gateway.state(action) is State.HELD
        assert acme.mutating() == []
        assert place.hold(action).state is HoldState.PENDING

    run(scenario)
