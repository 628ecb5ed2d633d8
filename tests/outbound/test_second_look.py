"""A write that waited is looked at once more before it leaves (semantics.md T-10, C-4, I-7)."""

from __future__ import annotations

import pytest

from gateway.errors import LedgerUnavailable, Refusal
from gateway.permit import Permit
from tests.doorway import doorway, failure
from tests.misbehaving import reply, wire

pytestmark = pytest.mark.anyio

STOPPED = Refusal("switched_off", "Everything has been stopped by an operator: an incident")


async def everything_is(permit: Permit, connector: str) -> Refusal:
    """An operator has stopped everything."""
    return STOPPED


async def nobody_knows(permit: Permit, connector: str) -> Refusal | None:
    """The store is down."""
    raise LedgerUnavailable("The disk reported an error.")


async def test_a_write_is_stopped_that_waits_for_its_turn() -> None:
    """T-10, R-4: it was let out, and had no place yet; a read may still be made."""
    async with wire(reply()) as upstream, doorway(upstream.port, calls_per_second=1, stopped=everything_is) as at:
        await at.read().get("/orders")
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, error.sent, mine.wrote) == ("switched_off", "none", False, False)
        assert len(upstream.arrivals) == 1


async def test_where_nobody_knows_whether_it_is_stopped_it_does_not_go_out() -> None:
    """T-10, L-1: a store that fails between two attempts opens nothing."""
    busy = reply(429, Retry_After="1")
    async with wire(busy, reply()) as upstream, doorway(upstream.port, stopped=nobody_knows) as at:
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, error.sent, mine.wrote) == ("upstream_unreachable", "none", False, False)
        assert len(upstream.arrivals) == 1


async def test_a_stop_after_an_unanswered_attempt_leaves_the_outcome_unknown() -> None:
    """I-7: that the second attempt was stopped says nothing of the first."""
    unclear, header = reply(503, Retry_After="1"), "Idempotency-Key"
    async with (
        wire(unclear, reply()) as upstream,
        doorway(upstream.port, stopped=everything_is, idempotency_header=header) as at,
    ):
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect) == ("outcome_unknown", "unknown")
        assert (mine.wrote, mine.acknowledged) == (True, False)
        assert len(upstream.arrivals) == 1


async def test_a_stop_between_two_steps_leaves_out_the_second_and_does_not_deny_the_first() -> None:
    """I-7, T-10: of an action of several writes, what was done stays done, and nothing more goes out."""
    acts = (reply(), reply(429, Retry_After="1"), reply())
    async with wire(*acts) as upstream, doorway(upstream.port, stopped=everything_is) as at:
        mine = at.write()
        await mine.post("/orders")
        await mine.get("/orders")
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, mine.wrote) == ("outcome_unknown", "unknown", True)
        assert len(upstream.arrivals) == 3
