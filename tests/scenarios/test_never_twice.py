"""Roads to a second effect, tried one by one: each ends with one effect, or with an honest `unknown`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.model import State
from gateway.store.actions import ActionRow
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.house import Clock, House, house, run
from tests.living import REFUND, ROOT, TENANT, Answer, Place, held, policy

TASK = "a-task-of-the-hosts"
TRIES = 3
"""How often the door sends one dispatch to an upstream that deduplicates."""


def effects(acme: Acme) -> int:
    """How many refunds were made."""
    return sum(bool(arrival["committed"]) for arrival in acme.mutating())


async def lost(gateway: House, acme: Acme) -> Answer:
    """A refund that the upstream made, and of which no attempt was answered."""
    acme.fault("drop_after", method="POST", times=TRIES)
    answer = await gateway.call("keyed_pay_back", REFUND)
    assert (answer["status"], effects(acme)) == ("unknown", 1)
    return answer


@pytest.mark.parametrize(("status", "times"), [(429, TRIES), (409, 1), (401, 1), (503, TRIES)])
def test_a_sending_again_that_is_refused_says_nothing_of_the_first(
    place: Place, acme: Acme, status: int, times: int
) -> None:
    """I-8: whatever the second sending is told, the first may have happened: the outcome stays unknown."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            acme.fault("fail_before", status, method="POST", times=times)
            gateway.clock.turn(3)
            await gateway.sweep()
            assert await gateway.state(first["action_id"]) is State.UNKNOWN
            assert (await gateway.call("keyed_pay_back", REFUND))["code"] == "outcome_unknown"
            gateway.clock.turn(60)
            await gateway.sweep()
            assert (await gateway.ended(first["action_id"]))["status"] == "done", "and it is asked once more"
        assert effects(acme) == 1

    run(scenario)


def test_a_sending_again_that_reaches_nobody_says_nothing_of_the_first(place: Place, acme: Acme) -> None:
    """I-7, I-8: a refused connection proves that this attempt was not sent, and not that the first was not."""

    async def scenario() -> None:
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

    run(scenario)


def test_an_upstream_is_not_trusted_to_remember_a_key_for_days(place: Place, acme: Acme) -> None:
    """I-8: an unknown write of yesterday is not sent again, for the upstream may have forgotten its key by now."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            before = len(acme.mutating())
            gateway.clock.turn(2 * 86_400)
            await gateway.sweep()
            assert await gateway.state(first["action_id"]) is State.UNKNOWN
            assert len(acme.mutating()) == before
            assert not await gateway.app.store.read(lambda tx: tx.actions.due()), "it is left to an operator"

    run(scenario)


def test_a_stop_holds_for_a_sending_again(place: Place, acme: Acme) -> None:
    """T-10, I-8: an unknown write of a tool that is stopped is not sent again until the stop is lifted."""

    async def scenario() -> None:
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

    run(scenario)


@pytest.mark.parametrize(
    "tightened",
    [policy({"keyed_pay_back": {"max": {"cents": 100}}}), held("keyed_pay_back")],
    ids=["denied", "on approval"],
)
def test_what_policy_allows_no_more_is_not_sent_again(place: Place, acme: Acme, tightened: str) -> None:
    """I-8, S17, V-3: who stopped a gateway and tightened its policy is not surprised by a write of before."""
    acme.fault("drop_before", method="POST", times=TRIES)

    async def scenario() -> None:
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

    run(scenario)


@pytest.mark.parametrize("approvers", [1, 2])
def test_what_was_approved_is_sent_again_while_that_is_enough(place: Place, acme: Acme, approvers: int) -> None:
    """I-8, H-4, V-3: a spent approval covers its action until policy asks for more people than have approved it."""
    place.write_policy(held("keyed_pay_back"))
    acme.fault("drop_after", method="POST", times=TRIES)

    async def scenario() -> None:
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

    run(scenario)


def test_an_approved_write_is_not_looked_for_too_early(place: Place, acme: Acme) -> None:
    """I-11: the consistency delay runs from the sending, and not from the call that waited an hour for its approval."""
    place.write_policy(held("looked_pay_out", expires="4h"))
    acme.fault("drop_before", method="POST")

    async def scenario() -> None:
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

    run(scenario)


def test_a_clock_that_leaps_does_not_end_what_is_under_way(place: Place, acme: Acme) -> None:
    """I-8, I-11: after a leap of the clock a write on its way is no lost one, for this process and for another."""
    acme.fault("wait_for_release", "before", method="POST")

    async def scenario() -> None:
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

    run(scenario)


@pytest.mark.parametrize("fault", ["drop_after", None])
def test_a_new_connection_finds_what_the_old_one_lost(place: Place, acme: Acme, fault: str | None) -> None:
    """I-15, F-8: on a pipe a lost answer comes with a new process and a new session, and is found all the same."""
    if fault:
        acme.fault(fault, method="POST")

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await gateway.call("plain_refund", REFUND, delivered=False, session="ssn_" + "1" * 32)
        async with house(place) as gateway:
            again = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
            assert again["action_id"] == first["action_id"]
            assert again["status"] == ("unknown" if fault else "replayed")
            third = await gateway.call("plain_refund", REFUND, session="ssn_" + "2" * 32)
            assert third["action_id"] == first["action_id"]
        assert effects(acme) == 1

    run(scenario)


@pytest.mark.parametrize("task", [None, TASK])
@pytest.mark.parametrize("fault", ["drop_after", None])
def test_a_new_release_of_a_tool_does_not_forget_what_was_lost(
    place: Place, acme: Acme, task: str | None, fault: str | None
) -> None:
    """I-15, F-8: an upgrade that rewords a tool changes its schema, and not whether its last call was answered."""
    if fault:
        acme.fault(fault, method="POST")

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await gateway.call("plain_refund", REFUND, delivered=False, header_task=task)
        _reword(place)
        async with house(place) as gateway:
            again = await gateway.call("plain_refund", REFUND, header_task=task)
            assert again["action_id"] == first["action_id"]
            assert again["status"] == ("unknown" if fault else "replayed")
        assert effects(acme) == 1

    run(scenario)


def test_a_new_key_is_no_way_around_a_doubt(place: Place, acme: Acme) -> None:
    """I-12: while nobody knows whether it happened, the same call is refused under any key and in any task."""

    async def scenario() -> None:
        async with house(place) as gateway:
            first = await lost(gateway, acme)
            before = len(acme.mutating())
            for again in (
                await gateway.call("keyed_pay_back", {**REFUND, "idempotency_key": "another-key-of-the-model"}),
                await gateway.call("keyed_pay_back", REFUND, header_task="another-task-of-the-host"),
            ):
                assert (again["code"], again["action_id"]) == ("outcome_unknown", first["action_id"])
            assert len(acme.mutating()) == before
        assert effects(acme) == 1

    run(scenario)


@pytest.mark.parametrize("hours", [1, 80])
def test_an_answer_that_no_longer_stands_is_no_way_around_a_doubt(place: Place, acme: Acme, hours: int) -> None:
    """I-12: done long ago, then once more on purpose, which nobody knows of: the same call by itself is not a third."""

    async def scenario() -> None:
        async with house(place) as gateway:
            assert (await gateway.call("plain_refund", REFUND, header_task=TASK))["status"] == "done"
            gateway.clock.turn(hours * 3_600)
            await gateway.sweep()
            acme.fault("drop_after", method="POST")
            once_more = {**REFUND, "idempotency_key": "once-more-on-purpose"}
            doubted = await gateway.call("plain_refund", once_more, header_task=TASK)
            assert doubted["status"] == "unknown"
            again = await gateway.call("plain_refund", REFUND, header_task=TASK)
            assert (again["code"], again["action_id"]) == ("outcome_unknown", doubted["action_id"])
        assert effects(acme) == 2

    run(scenario)


def _unknown(tx: Transaction, action_id: str) -> ActionRow | None:
    """The action, once nobody sends it any more and its outcome is unknown; what is settled never becomes that."""
    return next((row for row in tx.actions.unsettled() if row.id == action_id), None)


def _reword(place: Place) -> None:
    source = (ROOT / "tests" / "acme_tools.py").read_text()
    assert "Refund an upstream that neither" in source
    reworded = Path(place.folder / "reworded_tools.py")
    reworded.write_text(
        source.replace("Refund an upstream that neither", "Refund a customer, where the upstream neither")
    )
    place.connector_files = [str(ROOT / "connectors"), str(reworded)]
    place.write_settings()
