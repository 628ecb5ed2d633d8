"""What the gateway does by itself about an answer that was lost: it sends again, or looks, and neither too early."""

from __future__ import annotations

import asyncio

import pytest

from gateway.outcome import State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.edits import reloaded
from tests.house import Clock, house
from tests.place import REFUND, ROOT, TENANT, Place, held, policy
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


async def test_an_upstream_that_deduplicates_no_more_is_not_sent_it_again(place: Place, acme: Acme) -> None:
    """I-8: a release whose connector names no key any more finds what an older one had sent with one."""
    tools = (ROOT / "tests" / "acme_tools.py").read_text()
    own = place.folder / "tools.py"
    own.write_text(tools.replace(', idempotency_header="Idempotency-Key"', ""))
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        before = len(acme.mutating())
    place.connector_files[1] = str(own)
    place.write_settings()
    async with house(place, gateway.clock) as gateway:
        gateway.clock.turn(3)
        await gateway.sweep()
        assert await gateway.state(first["action_id"]) is State.UNKNOWN
        assert await gateway.app.store.read(lambda tx: tx.actions.awaited()) == {}, "it is left to an operator"
    assert len(acme.mutating()) == before


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
        reloaded(gateway.app.policy)
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
        reloaded(gateway.app.policy)
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


async def test_two_gateways_that_find_the_same_doubt_send_it_again_once(place: Place, acme: Acme) -> None:
    """I-8: both see that its owner is gone; the fencing token goes to one of them, and the other sends nothing."""
    async with house(place) as gateway:
        first = await lost(gateway, acme)
        before = len(acme.mutating())
        gateway.clock.stand_at(gateway.app.store.now())
    async with house(place, gateway.clock) as one, house(place, gateway.clock) as two:
        gateway.clock.stand_at(None)
        gateway.clock.turn(3)
        await asyncio.gather(one.sweep(), two.sweep())
        assert (await one.ended(first["action_id"]))["status"] == "done"
        assert (len(acme.mutating()), effects(acme)) == (before + 1, 1)
    assert place.verify().verdict == 0


@pytest.mark.parametrize("tool", ["keyed_pay_back", "looked_pay_out"])
async def test_what_cannot_be_found_out_is_left_to_an_operator(place: Place, acme: Acme, tool: str) -> None:
    """I-11: an upstream that goes on giving no answer is asked so many times, and then it is a person's to find out."""
    async with house(place) as gateway:
        acme.fault("drop_after", method="POST", times=TRIES)
        action = (await gateway.call(tool, REFUND))["action_id"]
        acme.recover()
        acme.fault("fail_before", 503, times=None)
        for _ in range(8):
            await gateway.advance(300)
        assert await gateway.app.store.read(lambda tx: tx.actions.awaited()) == {}
        asked = len(acme.journal())
        await gateway.advance(3_600)
        assert await gateway.state(action) is State.UNKNOWN
        assert len(acme.journal()) == asked
