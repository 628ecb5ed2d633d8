"""What is taken back holds from its commit: a stop, and a revoked key (semantics.md T-10, C-4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.identity.api_keys import revoke_key
from gateway.ledger_line import Event
from gateway.model import Call
from gateway.outcome import State
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.house import house
from tests.place import REFUND, TENANT, Place
from tests.services import eventually

pytestmark = pytest.mark.anyio

KEY = "a-key-of-the-hosts-own-1"


@pytest.mark.parametrize(
    ("scope", "target"),
    [("everything", "*"), ("agent", "bot"), ("tool", "plain_refund"), ("connector", "plain")],
)
async def test_a_stop_holds_from_its_commit(place: Place, acme: Acme, scope: Any, target: str) -> None:
    """T-10: what an operator has stopped does not arrive, is refused in clear words, and runs after the resumption."""
    async with house(place) as gateway:
        store = gateway.app.store
        await store.write(lambda tx: tx.switches.stop(TENANT, scope, target, by="olga", because="an incident"))
        answer = await gateway.call("plain_refund", REFUND)
        assert (answer["status"], answer["code"]) == ("refused", "switched_off")
        assert "an incident" in answer["message"]
        assert acme.journal() == []
        await store.write(lambda tx: tx.switches.resume(TENANT, scope, target))
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done"


async def test_a_revoked_key_admits_nothing_that_had_authenticated(place: Place, acme: Acme) -> None:
    """S33, C-4: a call that authenticated before the revocation is refused by the transaction that would admit it."""
    async with house(place) as gateway:
        caller = await gateway.app.api_keys.authenticate(place.keys["bot"])
        assert caller is not None
        revoked = gateway.app.store.write(lambda tx: revoke_key(tx, TENANT, caller.key_id, by="olga"))
        call = Call(caller, "plain_refund", REFUND)
        _, answer = await asyncio.gather(revoked, gateway.app.handle(call))
        assert (answer.status, answer.code) == ("refused", "not_permitted")
    assert acme.mutating() == []
    assert place.lines(event=Event.REFUSED)[-1]["code"] == "not_permitted"


@pytest.mark.parametrize("tool", ["plain_refund", "keyed_pay_back"])
@pytest.mark.parametrize("taken_back", ["a stop", "the key"])
async def test_a_write_that_is_about_to_be_tried_again_is_taken_back_too(
    place: Place, acme: Acme, tool: str, taken_back: str
) -> None:
    """T-10, C-4: what the upstream was too busy for, and would be asked again in a second, does not go out any more."""

    def take_back(tx: Transaction, key: str) -> None:
        if taken_back == "a stop":
            tx.switches.stop(TENANT, "tool", tool, by="olga", because="an incident")
        else:
            revoke_key(tx, TENANT, key, by="olga")

    async with house(place) as gateway:
        caller = await gateway.app.api_keys.authenticate(place.keys["bot"])
        assert caller is not None
        acme.fault("fail_before", 429, method="POST")
        paying = asyncio.create_task(gateway.call(tool, REFUND, header_key=KEY))
        await asyncio.to_thread(eventually, lambda: len(acme.mutating()) == 1, "the first attempt")
        await gateway.app.store.write(lambda tx: take_back(tx, caller.key_id))
        answer = await paying
        assert (answer["status"], answer["code"]) == (
            "failed",
            "switched_off" if taken_back == "a stop" else "not_permitted",
        )
        assert len(acme.mutating()) == 1
        assert place.action(answer["action_id"]).key_digest is None, "its claim was given back"
        if taken_back == "a stop":
            await gateway.app.store.write(lambda tx: tx.switches.resume(TENANT, "tool", tool))
            assert (await gateway.call(tool, REFUND, header_key=KEY))["status"] == "done"


async def test_a_write_that_was_given_up_while_it_waited_does_not_go_out(place: Place, acme: Acme) -> None:
    """I-8: where the clock leaped past its lease, others may be told meanwhile that it did not happen."""
    async with house(place) as gateway:
        acme.fault("fail_before", 429, method="POST")
        paying = asyncio.create_task(gateway.call("plain_refund", REFUND))
        await asyncio.to_thread(eventually, lambda: len(acme.mutating()) == 1, "the first attempt")
        gateway.clock.turn(60)
        await gateway.sweep()
        answer = await paying
        assert (answer["status"], answer["code"]) == ("failed", "upstream_unreachable")
        assert await gateway.state(answer["action_id"]) is State.FAILED
    assert len(acme.mutating()) == 1
