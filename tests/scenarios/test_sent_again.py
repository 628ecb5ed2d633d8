"""What the gateway does by itself about an answer that was lost: it sends again, or looks, and neither too early."""

from __future__ import annotations

import asyncio

import pytest

from gateway.outcome import State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.house import Clock, house
from tests.place import REFUND, TENANT, Place, held, policy
from tests.scenarios.losing import TRIES, effects, lost

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("status", [429, 409, 401, 503])
async def test_a_sending_again_that_is_refused_says_nothing_of_the_first(place: Place, acme: Acme, status: int) -> None:
    """I-8: whatever the second sending is told, the first may have happened: the outcome stays unknown."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        acme.fault("fail_before", status, method="POST", times=None)
        gateway.clock.turn(3)
        await gateway.sweep()
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert (await gateway.call("keyed_pay_back", REFUND))["code"] == "outcome_unknown"
        acme.recover()
        gateway.clock.turn(60)
        await gateway.sweep()
        assert (await gateway.ended(first["action_id"]))["status"] == "done", "and it is asked once more"
    assert effects(acme) == 1


async def test_a_sending_again_that_reaches_nobody_says_nothing_of_the_first(place: Place, acme: Acme) -> None:
    """I-7, I-8: a refused connection proves that this attempt was not sent, and not that the first was not."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
    place.write_settings(connector={"keyed": {"base_url": "http://127.0.0.1:9", "internal": True}})
    async with house(place, gateway.clock) as gateway:
        gateway.clock.turn(3)
        await gateway.sweep()
        tried = await gateway.until(lambda tx: _unknown(tx, first["action_id"]), "the second sending to end")
        assert tried is not None
        assert tried.tries > 0
    assert effects(acme) == 1


async def test_an_upstream_is_not_trusted_to_remember_a_key_for_days(place: Place, acme: Acme) -> None:
    """I-8: an unknown write of yesterday is not sent again, for the upstream may have forgotten its key by now."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        before = len(acme.mutating())
        gateway.clock.turn(2 * 86_400)
        await gateway.sweep()
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert len(acme.mutating()) == before
        assert not await gateway.app.store.read(lambda tx: tx.actions.due()), "it is left to an operator"


async def test_a_key_is_as_old_as_its_first_use(place: Place, acme: Acme) -> None:
    """I-8: each sending again is no reason for another half a day later: the upstream counts from the first."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        acme.fault("fail_before", 503, method="POST", times=None)
        sent = []
        for _ in range(2):
            gateway.clock.turn(7 * 3_600)
            await gateway.sweep()
            sent.append(len(acme.mutating()))
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert TRIES < sent[0] == sent[1]
    assert effects(acme) == 1


async def test_a_stop_holds_for_a_sending_again(place: Place, acme: Acme) -> None:
    """T-10, I-8: an unknown write of a tool that is stopped is not sent again until the stop is lifted."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        before = len(acme.mutating())
        place.transact(lambda tx: tx.switches.stop(TENANT, "tool", "keyed_pay_back", by="olga", because="a drill"))
        gateway.clock.turn(3)
        await gateway.sweep()
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert len(acme.mutating()) == before
        place.transact(lambda tx: tx.switches.resume(TENANT, "tool", "keyed_pay_back"))
        gateway.clock.turn(60)
        await gateway.sweep()
        assert (await gateway.ended(first["action_id"]))["status"] == "done"
    assert effects(acme) == 1


@pytest.mark.parametrize(
    "tightened",
    [policy({"keyed_pay_back": {"max": {"cents": 100}}}), held("keyed_pay_back")],
    ids=["denied", "on approval"],
)
async def test_what_policy_allows_no_more_is_not_sent_again(place: Place, acme: Acme, tightened: str) -> None:
    """I-8, S17, V-3: who stopped a gateway and tightened its policy is not surprised by a write of before."""
    acme.fault("drop_before", method="POST", times=TRIES)
    async with house(place) as gateway:
        first = await gateway.call("keyed_pay_back", REFUND)
        assert (first["status"], effects(acme)) == ("unknown", 0)
        gateway.clock.turn(3)
    place.write_policy(tightened)
    async with house(place, gateway.clock) as gateway:
        await gateway.sweep()
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert effects(acme) == 0
        place.write_policy(policy())
        gateway.app.policy.reload_if_changed()
        gateway.clock.turn(60)
        await gateway.sweep()
        assert (await gateway.ended(first["action_id"]))["status"] == "done", "and it was only put off"
    assert effects(acme) == 1


@pytest.mark.parametrize("approvers", [1, 2])
async def test_what_was_approved_is_sent_again_while_that_is_enough(place: Place, acme: Acme, approvers: int) -> None:
    """I-8, H-4, V-3: a spent approval covers its action until policy asks for more people than have approved it."""
    place.write_policy(held("keyed_pay_back"))
    acme.fault("drop_after", method="POST", times=TRIES)
    async with house(place) as gateway:
        asked = await gateway.call("keyed_pay_back", REFUND)
        await gateway.vote(asked["action_id"], "fay")
        await gateway.sweep()
        assert await gateway.state(asked["action_id"]) is State.UNKNOWN
        before = len(acme.mutating())
        place.write_policy(held("keyed_pay_back", count=approvers))
        gateway.app.policy.reload_if_changed()
        gateway.clock.turn(3)
        await gateway.sweep()
        assert (len(acme.mutating()) > before) == (approvers == 1)
    assert effects(acme) == 1


async def test_an_approved_write_is_not_looked_for_too_early(place: Place, acme: Acme) -> None:
    """I-11: the consistency delay runs from the sending, and not from the call that waited an hour for its approval."""
    place.write_policy(held("looked_pay_out", expires="4h"))
    acme.fault("drop_before", method="POST")
    async with house(place) as gateway:
        asked = await gateway.call("looked_pay_out", REFUND)
        gateway.clock.turn(3_600)
        assert (await gateway.vote(asked["action_id"], "fay")).accepted
        await gateway.sweep()
        assert await gateway.state(asked["action_id"]) is State.UNKNOWN
        gateway.clock.turn(2.5)
        await gateway.sweep()
        assert await gateway.state(asked["action_id"]) is State.UNKNOWN, "the record may not have settled yet"
        for _ in range(3):
            gateway.clock.turn(60)
            await gateway.sweep()
        assert (await gateway.ended(asked["action_id"]))["status"] == "failed"


async def test_a_clock_that_leaps_does_not_end_what_is_under_way(place: Place, acme: Acme) -> None:
    """I-8, I-11: after a leap of the clock a write on its way is no lost one, for this process and for another."""
    acme.fault("wait_for_release", "before", method="POST")
    clock = Clock()
    async with house(place, clock) as gateway, house(place, clock) as other:
        pending = asyncio.create_task(gateway.call("looked_pay_out", REFUND))
        await asyncio.to_thread(acme.wait_for_parked)
        clock.turn(86_400)
        for watcher in (gateway, other, other, gateway):
            await watcher.app.reconciler.sweep()
            clock.turn(600)
        acme.release()
        assert (await pending)["status"] == "done"
        assert (await other.call("looked_pay_out", REFUND))["status"] == "replayed"
    assert effects(acme) == 1


def _unknown(tx: Transaction, action_id: str) -> ActionRow | None:
    """The action, once nobody sends it any more and its outcome is unknown; what is settled never becomes that."""
    return next((row for row in tx.actions.unsettled() if row.id == action_id), None)
