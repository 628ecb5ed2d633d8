"""Held for humans: asked once, and decided by those who may, in time, for what they were shown (semantics.md H)."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from gateway.holds import Vote, vote
from gateway.identity.api_keys import check
from gateway.ledger_line import Event
from gateway.model import HoldState, Kind, Role
from gateway.outcome import State
from gateway.store.transaction import Transaction
from gateway.testing.driver import PATIENCE
from tests.acme import Acme
from tests.house import Clock, house
from tests.place import REFUND, TENANT, Place, held
from tests.scenarios.holding import ask, outcome

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("who", ["olga", "vic", "bot", "clerk"])
async def test_who_may_not_vote_changes_nothing(place: Place, acme: Acme, who: str) -> None:
    """S14, H-5: the owner, someone of no asked group, the requester and a fellow agent are refused, on the ledger."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        vote = await gateway.vote(action, who)
        await gateway.sweep()
        assert (vote.accepted, vote.state) == (False, HoldState.PENDING)
        assert await gateway.state(action) is State.HELD
    (line,) = place.lines(event=Event.VOTE)
    assert (line["principal"], line["accepted"]) == (who, False)
    assert acme.mutating() == []


@pytest.mark.parametrize("lost", ["the role", "the key", "being human"])
async def test_an_approver_who_was_one_decides_nothing(place: Place, acme: Acme, lost: str) -> None:
    """H-5, A-5: someone of finance who lost the role or the key after they had read the card, or became a service."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)

        def vote_after_the_loss(tx: Transaction) -> Vote:
            voter, hold = check(tx, place.keys["fay"]), tx.holds.get(action)
            assert voter is not None
            assert voter.key_id is not None
            assert hold is not None
            if lost == "the key":
                tx.people.revoke_key(voter.key_id)
            elif lost == "the role":
                voter = replace(voter, roles=frozenset({Role.CALLER}))
            else:
                voter = replace(voter, kind=Kind.SERVICE)
            return vote(tx, action, voter, "approve", hold.digest)

        said = place.transact(vote_after_the_loss)
        assert (said.accepted, said.state) == (False, HoldState.PENDING)
        await gateway.sweep()
        assert await gateway.state(action) is State.HELD
    (line,) = place.lines(event=Event.VOTE)
    assert (line["principal"], line["accepted"]) == ("fay", False)
    assert acme.mutating() == []


async def test_two_seats_need_two_people(place: Place, acme: Acme) -> None:
    """H-5: one person's vote, cast twice, fills one seat; a second person's fills the other."""
    place.write_policy(held(count=2))
    async with house(place) as gateway:
        action = await ask(gateway)
        for _ in range(2):
            assert (await gateway.vote(action, "fay")).state is HoldState.PENDING
        await gateway.sweep()
        assert acme.mutating() == []
        assert (await gateway.vote(action, "finn")).state is HoldState.APPROVED
        assert (await outcome(gateway, action))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_one_no_is_no(place: Place, acme: Acme) -> None:
    """H-5: a denial ends the hold whatever was approved before, and the same call gets the same no."""
    place.write_policy(held(count=2))
    async with house(place) as gateway:
        action = await ask(gateway)
        await gateway.vote(action, "fay")
        await gateway.vote(action, "finn", "deny")
        assert not (await gateway.vote(action, "finn")).accepted
        assert (await outcome(gateway, action))["code"] == "hold_denied"
        assert (await gateway.call("plain_refund", REFUND))["code"] == "hold_denied"
    assert acme.mutating() == []


@pytest.mark.parametrize(("early", "accepted"), [(1, True), (0, False), (-1, False)])
async def test_the_stores_time_decides_on_expiry(place: Place, acme: Acme, early: int, accepted: bool) -> None:
    """S18, H-6: a vote one millisecond before the expiry counts, at it or after it does not."""
    place.write_policy(held(expires="60s"))
    clock = Clock()
    async with house(place, clock) as gateway:
        action = await ask(gateway)
        hold = await gateway.app.store.read(lambda tx: tx.holds.get(action))
        assert hold is not None
        clock.stand_at(hold.expires_at - early)
        assert (await gateway.vote(action, "fay")).accepted is accepted
        answer = await outcome(gateway, action)
        assert (answer["status"], answer.get("code")) == (("done", None) if accepted else ("refused", "hold_expired"))
    assert len(acme.mutating()) == int(accepted)


async def test_a_cancelled_hold_never_runs(place: Place, acme: Acme) -> None:
    """H-2: its own agent may take it back, nobody else's; a vote after that is refused."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        stranger = await gateway.call("cancel_action", {"action_id": action}, as_="clerk")
        assert stranger["code"] == "action_not_found"
        assert (await gateway.call("cancel_action", {"action_id": action}))["status"] == "done"
        assert not (await gateway.vote(action, "fay")).accepted
        assert (await outcome(gateway, action))["code"] == "hold_cancelled"
    assert acme.mutating() == []


async def test_a_vote_for_something_else_does_not_count(place: Place, acme: Acme) -> None:
    """H-1, T-7: a vote names the digest that was shown; another than the stored one is refused."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        vote = await gateway.vote(action, "fay", shown="0" * 64)
        await gateway.sweep()
        assert not vote.accepted
        assert await gateway.state(action) is State.HELD
    assert acme.mutating() == []


@pytest.mark.parametrize(("verdict", "of"), [("approve", "another digest"), ("deny", "this one")])
async def test_what_is_no_yes_to_what_is_asked_fills_no_seat(place: Place, acme: Acme, verdict: str, of: str) -> None:
    """H-1, H-4: only approvals are counted, and only of the digest that stands."""
    place.write_policy(held(count=2))
    async with house(place) as gateway:
        action = await ask(gateway)
        digest = place.hold(action).digest if of == "this one" else "0" * 64
        place.transact(lambda tx: tx.holds.vote(action, TENANT, "finn", verdict, digest=digest, note=""))
        assert (await gateway.vote(action, "fay")).state is HoldState.PENDING
        assert (await gateway.vote(action, "finn")).state is HoldState.APPROVED
        assert (await outcome(gateway, action))["status"] == "done"
    assert len(acme.mutating()) == 1


async def test_a_hold_of_another_tenant_is_none(place: Place, acme: Acme) -> None:
    """T-5, V-9: who has its id is told what they are told of one that does not exist, and leaves no line there."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        digest = place.hold(action).digest

        def vote_from_elsewhere(tx: Transaction) -> list[Vote]:
            fay = check(tx, place.keys["fay"])
            assert fay is not None
            stranger = replace(fay, tenant="another")
            return [vote(tx, id, stranger, "approve", digest) for id in (action, action[::-1])]

        real, unreal = await gateway.app.store.write(vote_from_elsewhere)
        assert real == replace(unreal, message=unreal.message.replace(action[::-1], action))
    assert not place.lines(event=Event.VOTE)
    assert acme.mutating() == []


async def test_too_many_questions_are_not_asked(place: Place, acme: Acme) -> None:
    """H-13: a principal's open questions are capped; another's are counted apart."""
    place.write_policy(held())
    place.write_settings(limits={"pending_holds": 2})
    async with house(place) as gateway:
        for cents in (1, 2):
            await ask(gateway, cents=cents)
        third = await gateway.call("plain_refund", {**REFUND, "cents": 3})
        assert (third["code"], third["retry"]) == ("too_many_holds", "later")
        assert (await gateway.call("plain_refund", REFUND, as_="clerk"))["status"] == "held"
    assert acme.mutating() == []


async def test_a_vote_written_past_the_gateway_is_no_vote(place: Place, acme: Acme) -> None:
    """H-3, V-3: who can write into the database, and has not the gateway's key, cannot approve for anybody."""
    place.write_policy(held())
    async with house(place) as gateway:
        action = await ask(gateway)
        now, digest = gateway.clock(), place.hold(action).digest
        file = sqlite3.connect(place.home.database, isolation_level=None, timeout=PATIENCE)
        forged = (action, TENANT, "fay", "approve", digest, "", now, "0" * 64)
        file.execute("INSERT INTO votes VALUES (?, ?, ?, ?, ?, ?, ?, ?)", forged)
        file.execute("UPDATE holds SET state = 'approved', execute_by = ? WHERE action = ?", (now + 900_000, action))
        file.close()
        await gateway.sweep()
        assert await gateway.state(action) is State.HELD
    assert acme.mutating() == []
    assert place.hold(action).state is HoldState.PENDING
