"""How long is kept what a call said and was told (semantics.md I-13)."""

from __future__ import annotations

import pytest

from gateway.bodies import opened
from gateway.ledger_line import Event
from gateway.settle import Settlement, did_not_happen
from tests.acme import Acme
from tests.house import House, house
from tests.place import REFUND, Place
from tests.scenarios.losing import lost

pytestmark = pytest.mark.anyio

HOUR = 3_600
KEPT = 72
"""Hours, unless the settings say otherwise."""
KEY = "a-key-of-the-hosts-own-1"


async def kept(gateway: House, action_id: str) -> tuple[bool, bool]:
    """Whether it can still be told what the action was asked for, and how it ended."""
    keyring = gateway.app.keyring
    asked, told = await gateway.app.store.read(
        lambda tx: (opened(tx, keyring, action_id, "arguments"), opened(tx, keyring, action_id, "outcome"))
    )
    assert asked is None or asked.items() >= REFUND.items()
    return asked is not None, told is not None


async def test_a_call_is_kept_for_as_long_as_is_said(place: Place, acme: Acme) -> None:
    """I-13: until then what it said and was told, and from then on neither."""
    async with house(place) as gateway:
        done = await gateway.call("keyed_pay_back", REFUND)
        gateway.clock.turn(KEPT * HOUR - 60)
        await gateway.sweep()
        assert await kept(gateway, done["action_id"]) == (True, True)
        gateway.clock.turn(120)
        await gateway.sweep()
        assert await kept(gateway, done["action_id"]) == (False, False)


async def test_of_what_nobody_knows_it_is_kept_what_was_asked_until_somebody_does(place: Place, acme: Acme) -> None:
    """I-13: who looks into the system of record after weeks has to know what for; once settled it is kept as any."""
    async with house(place) as gateway:
        id = (await lost(gateway, acme))["action_id"]
        gateway.clock.turn(50 * KEPT * HOUR)
        await gateway.sweep()
        assert await kept(gateway, id) == (True, False)

        row = await gateway.app.store.read(lambda tx: tx.actions.get(id))
        assert row is not None
        found_out = Settlement(
            gateway.app.keyring, row, did_not_happen("It is not there."), keep_ms=KEPT * HOUR * 1_000
        )
        assert await gateway.app.store.write(lambda tx: found_out.record(tx, row.fence, Event.RECONCILE))
        gateway.clock.turn(KEPT * HOUR - 60)
        await gateway.sweep()
        assert await kept(gateway, id) == (True, True)
        gateway.clock.turn(120)
        await gateway.sweep()
        assert await kept(gateway, id) == (False, False)


async def test_a_key_is_remembered_for_longer_than_its_answer(place: Place, acme: Acme) -> None:
    """I-13: whoever comes back with it weeks later is told so, and for three months nothing runs under it again."""
    async with house(place) as gateway:
        await gateway.call("plain_refund", REFUND, header_key=KEY)
        for days in (4, 85):
            await gateway.advance(days * 24 * HOUR)
            late = await gateway.call("plain_refund", REFUND, header_key=KEY)
            assert (late["status"], late["code"]) == ("refused", "key_expired")
        assert len(acme.mutating()) == 1
        await gateway.advance(2 * 24 * HOUR)
        assert (await gateway.call("plain_refund", REFUND, header_key=KEY))["status"] == "done"
