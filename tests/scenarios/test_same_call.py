"""The same call again: what is answered from the first one, what is refused, and what runs anew (semantics.md I)."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.acme import Acme
from tests.edits import reloaded
from tests.gate import Gate
from tests.house import house
from tests.place import REFUND, Place, policy

pytestmark = pytest.mark.anyio

KEY = "a-key-of-the-callers-own"


def test_a_hundred_at_once_arrive_once(running: Gate, acme: Acme) -> None:
    """S1, V-1: 100 concurrent calls of one key make one arrival, and 100 equal results or `running`."""
    with ThreadPoolExecutor(32) as callers:
        keyed = {**REFUND, "idempotency_key": KEY}
        answers = list(callers.map(lambda _: running.call("plain_refund", keyed), range(100)))
    assert len(acme.mutating()) == 1
    assert {answer["status"] for answer in answers} <= {"done", "replayed", "running"}
    assert sum(answer["status"] == "done" for answer in answers) == 1
    told = [answer["data"] for answer in answers if "data" in answer]
    assert told == [told[0]] * len(told)
    assert len({answer["action_id"] for answer in answers}) == 1


async def test_a_key_belongs_to_its_arguments(place: Place, acme: Acme) -> None:
    """S2: the same key with other arguments is `key_reused`, and nothing arrives."""
    async with house(place) as gateway:
        first = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
        other = await gateway.call("plain_refund", {**REFUND, "cents": 501, "idempotency_key": KEY})
    assert first["status"] == "done"
    assert (other["status"], other["code"]) == ("refused", "key_reused")
    assert len(acme.mutating()) == 1


async def test_a_key_belongs_to_its_owner(place: Place, acme: Acme) -> None:
    """S3, I-2: another principal's equal key is another key; neither sees the other's answer (V-9)."""
    async with house(place) as gateway:
        mine = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
        theirs = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY}, as_="clerk")
        asked = await gateway.call("get_action", {"action_id": mine["action_id"]}, as_="clerk")
        unknown = await gateway.call("get_action", {"action_id": "act_" + "0" * 32}, as_="clerk")
    assert (mine["status"], theirs["status"]) == ("done", "done")
    assert mine["data"]["id"] != theirs["data"]["id"]
    assert len(acme.mutating()) == 2
    assert asked["code"] == "action_not_found"
    assert {**asked, "action_id": ""} == {**unknown, "action_id": ""}  # S39: a stranger's id looks like none


async def test_what_was_not_valid_claims_nothing(place: Place, acme: Acme) -> None:
    """S4: arguments that were refused leave the key free, so that the corrected call runs."""
    async with house(place) as gateway:
        wrong = await gateway.call("plain_refund", {**REFUND, "cents": "500", "idempotency_key": KEY})
        right = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
    assert (wrong["code"], right["status"]) == ("invalid_arguments", "done")
    assert len(acme.mutating()) == 1


async def test_a_keyless_repeat_is_not_done_twice_within_the_window(place: Place, acme: Acme) -> None:
    """I-4: without a key the arguments are the key, for the length of the window, and a new key does it again."""
    place.write_policy(policy({"plain_refund": {"repeat_window": "60s"}}))
    async with house(place) as gateway:
        first = await gateway.call("plain_refund", REFUND)
        gateway.clock.turn(59)
        again = await gateway.call("plain_refund", REFUND)
        assert (again["status"], again["key_source"]) == ("replayed", "derived")
        assert again["data"] == first["data"]
        assert first["action_id"] in again["message"]
        on_purpose = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
        assert on_purpose["status"] == "done"
        gateway.clock.turn(2)
        later = await gateway.call("plain_refund", REFUND)
        assert later["status"] == "done"
    assert len(acme.mutating()) == 3


@pytest.mark.parametrize("task", [None, "a-task-of-the-hosts"])
async def test_an_answer_that_was_lost_answers_after_the_window(place: Place, acme: Acme, task: str | None) -> None:
    """I-15: an undelivered outcome answers the next identical call however late; once delivered, the window counts."""
    async with house(place) as gateway:
        lost = await gateway.call("plain_refund", REFUND, delivered=False, header_task=task)
        gateway.clock.turn(3_600)
        again = await gateway.call("plain_refund", REFUND, header_task=task)
        assert (again["status"], again["action_id"]) == ("replayed", lost["action_id"])
        soon = await gateway.call("plain_refund", REFUND, header_task=task)
        assert (soon["status"], soon["action_id"]) == ("replayed", lost["action_id"]), "and so does a third one"
        gateway.clock.turn(3_600)
        anew = await gateway.call("plain_refund", REFUND, header_task=task)
        assert anew["status"] == "done"
    assert len(acme.mutating()) == 2


async def test_a_new_key_does_it_again_though_the_first_answer_was_lost(place: Place, acme: Acme) -> None:
    """I-4, I-15: a lost answer is given to who asks for it without a key; a key that is new asks for a second time."""
    async with house(place) as gateway:
        await gateway.call("plain_refund", REFUND, delivered=False)
        again = await gateway.call("plain_refund", {**REFUND, "idempotency_key": "a second refund, on purpose"})
        assert again["status"] == "done"
    assert len(acme.mutating()) == 2


async def test_a_lost_answer_that_is_no_longer_kept_is_none(place: Place, acme: Acme) -> None:
    """I-4, I-15: without a key of its own a call is not refused for ever because an answer was once lost."""
    async with house(place) as gateway:
        lost = await gateway.call("plain_refund", REFUND, delivered=False)
        gateway.clock.turn(71 * 3_600)
        assert (await gateway.call("plain_refund", REFUND, delivered=False))["action_id"] == lost["action_id"]
        gateway.clock.turn(2 * 3_600)
        await gateway.sweep()
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done"
    assert len(acme.mutating()) == 2


async def test_a_key_whose_answer_is_gone_does_not_run_again(place: Place, acme: Acme) -> None:
    """S13, I-13: after the body's time a given key is `key_expired`, and nothing arrives."""
    async with house(place) as gateway:
        await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
        gateway.clock.turn(73 * 3_600)
        await gateway.sweep()
        late = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
    assert late["code"] == "key_expired"
    assert len(acme.mutating()) == 1


async def test_a_revoked_caller_reads_no_stored_answer(place: Place, acme: Acme) -> None:
    """I-12: the reader of a replay is authorised anew; with the tool taken away there is no such tool any more."""
    async with house(place) as gateway:
        await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
        place.write_policy(policy({"plain_refund": {"max": {"cents": 100}}}))
        assert reloaded(gateway.app.policy) is not None
        again = await gateway.call("plain_refund", {**REFUND, "idempotency_key": KEY})
    assert (again["status"], again["code"]) == ("refused", "not_permitted")
    assert "data" not in again
    assert len(acme.mutating()) == 1


async def test_a_repeat_waits_for_the_first_one(place: Place, acme: Acme) -> None:
    """I-12: a repeat that comes while the first is under way attaches to it, and has its answer."""
    acme.fault("wait_for_release", "before", method="POST")
    async with house(place) as gateway:
        first = asyncio.create_task(gateway.call("plain_refund", REFUND))
        await asyncio.to_thread(acme.wait_for_parked)
        second = asyncio.create_task(gateway.call("plain_refund", REFUND))
        assert not second.done()
        acme.release()
        assert (await first)["status"] == "done"
        assert (await second)["status"] == "replayed"
        assert await gateway.ledger(event="REPLAY") == [], "there was no answer yet that could be given again"
    assert len(acme.mutating()) == 1


async def test_an_answer_that_is_given_again_stands_on_the_ledger(place: Place) -> None:
    """L-2: whose answer it was, and who asked for it again."""
    async with house(place) as gateway:
        first = await gateway.call("plain_refund", REFUND)
        assert (await gateway.call("plain_refund", REFUND))["status"] == "replayed"
        (line,) = await gateway.ledger(event="REPLAY")
        assert (line["original"], line["tool"], line["principal"]) == (first["action_id"], "plain_refund", "bot")
        assert line["action"] != first["action_id"]


async def test_a_new_write_costs_the_same_after_thousands(place: Place) -> None:
    """I-2: what the database does for one call does not grow with what its caller did before."""
    place.write_policy(policy({"plain_refund": {"approve_over": {"cents": 900}}}, approval={"from": ["finance"]}))

    async with house(place) as gateway:
        connection = gateway.app.store._connection

        async def cost(cents: int) -> int:
            steps = 0

            def count() -> None:
                nonlocal steps
                steps += 1

            connection.set_progress_handler(count, 10)
            answer = await gateway.call("plain_refund", {**REFUND, "cents": cents})
            connection.set_progress_handler(None, 10)
            assert answer["status"] == ("held" if cents > 900 else "done")
            return steps

        before = [await cost(cents) for cents in (1, 2, 1_001)]
        own = {
            "id": "'act_' || lower(hex(randomblob(16)))",
            "key_digest": "randomblob(32)",
            "twin": "randomblob(32)",
        }
        columns = [row["name"] for row in connection.execute("PRAGMA table_info(actions)")]
        copied = ", ".join(own.get(name, name) for name in columns)
        many = f"INSERT INTO actions ({', '.join(columns)}) SELECT {copied} FROM actions WHERE state = 'succeeded'"
        for _ in range(11):
            await gateway.app.store.write(lambda tx: connection.execute(many))
        after = [await cost(cents) for cents in (3, 4, 1_002)]
        assert max(after) < 2 * max(before), (before, after)
