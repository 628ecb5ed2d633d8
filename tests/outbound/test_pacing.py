"""Waiting for a turn: a full upstream, a rate, and a deadline that it all counts against (semantics.md R-4, R-8)."""

from __future__ import annotations

import asyncio

import pytest

from tests.doorway import doorway, failure
from tests.misbehaving import hang, reply, wire

pytestmark = pytest.mark.anyio


async def test_a_full_upstream_is_not_sent_to() -> None:
    """R-4: waiting for a free place counts against the deadline, and nothing was sent."""
    async with wire(hang) as upstream, doorway(upstream.port, max_concurrent=1) as at:
        first = asyncio.create_task(failure(at.write(seconds=20).post("/orders")))
        await upstream.arrived.wait()
        waiting = at.write(seconds=0.2)
        error = await failure(waiting.post("/orders"))
        assert (error.code, error.effect, error.sent) == ("upstream_unreachable", "none", False)
        assert len(upstream.arrivals) == 1
        assert not waiting.wrote
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        upstream.acts[:] = [reply()]
        assert await at.write().post("/orders") == {}


async def test_calls_beyond_the_rate_wait_for_their_turn() -> None:
    """R-4: `calls_per_second` smooths; what cannot have its turn in time is not sent."""
    async with wire() as upstream, doorway(upstream.port, calls_per_second=0.01) as at:
        await at.write().post("/orders")
        error = await failure(at.write(seconds=0.2).post("/orders"))
        assert (error.effect, error.sent) == ("none", False)
        assert len(upstream.arrivals) == 1


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    """R-8: too little time left fails before anything leaves."""
    async with wire() as upstream, doorway(upstream.port) as at:
        error = await failure(at.write(seconds=-1).post("/orders"))
        assert (error.effect, error.sent) == ("none", False)
        assert upstream.connections == 0
        await at.read().get("/orders")
        error = await failure(at.write(seconds=-1).post("/orders"))
        assert (error.effect, error.sent) == ("none", False), "nor over a connection that is there already"
        assert len(upstream.arrivals) == 1
