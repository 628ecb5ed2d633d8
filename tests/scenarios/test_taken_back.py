"""What is taken back holds from its commit: a stop, and a revoked key (semantics.md T-10, C-4)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from gateway.identity.api_keys import revoke_key
from gateway.model import Call, Event
from tests.acme import Acme
from tests.house import house, run
from tests.living import REFUND, TENANT, Place


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
