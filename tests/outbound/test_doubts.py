"""Of an action's writes, and of a write's attempts: which of them may have happened (semantics.md I-7, I-8, I-9)."""

from __future__ import annotations

import asyncio

import pytest

from tests.doorway import doorway, failure
from tests.misbehaving import close, hang, reply, wire

pytestmark = pytest.mark.anyio


async def test_a_write_that_is_refused_when_sent_again_may_have_happened_before() -> None:
    """I-8: of an action that is sent again a success tells something, of each of its writes, and a refusal nothing."""
    async with wire(reply(200, "{}"), reply(422)) as upstream, doorway(upstream.port) as at:
        mine = at.write(again=True)
        await mine.post("/orders")
        assert mine.acknowledged
        assert (await failure(mine.post("/orders"))).effect == "unknown"
        assert not mine.acknowledged


async def test_of_an_action_that_is_sent_again_a_look_or_a_success_can_tell() -> None:
    """I-7, I-8: what an earlier dispatch left in doubt is in doubt until it is written again, or read."""
    async with wire(reply()) as upstream, doorway(upstream.port) as at:
        neither, looking, writing = at.write(again=True), at.write(again=True), at.write(again=True)
        await looking.get("/orders")
        await writing.post("/orders")
        said = [(mine.accounted_for, mine.acknowledged) for mine in (neither, looking, writing)]
        assert said == [(False, False), (True, False), (True, True)]
        assert at.write().accounted_for, "and of an action that was never sent there is no doubt"


@pytest.mark.parametrize("look", ["get", "fetch", "download"])
async def test_a_look_tells_of_the_writes_before_it_only(look: str) -> None:
    """I-7: a later write has a doubt of its own, and one that was answered takes none away and adds none."""
    async with wire(close, reply(), reply(), close, reply(404), reply()) as upstream, doorway(upstream.port) as at:
        mine = at.write()
        looking = getattr(mine, look)
        await failure(mine.post("/orders"))
        assert not mine.accounted_for
        await looking("/orders")
        assert mine.accounted_for
        await mine.post("/orders/1/lines")
        assert mine.accounted_for
        await failure(mine.post("/orders/1/lines"))
        assert not mine.accounted_for
        await failure(looking("/orders"))
        assert not mine.accounted_for, "a refused look tells nothing"
        await looking("/orders")
        assert (mine.accounted_for, mine.acknowledged) == (True, False)


async def test_a_write_that_its_connector_gave_up_is_in_doubt_until_it_is_looked_for() -> None:
    """I-7: under way, a read tells nothing of it; once nobody waits for its answer any more, one does."""
    async with wire(hang, reply()) as upstream, doorway(upstream.port) as at:
        mine = at.write()
        giving_up = asyncio.create_task(mine.post("/orders"))
        await upstream.arrived.wait()
        await mine.get("/orders")
        assert not mine.accounted_for
        giving_up.cancel()
        await asyncio.gather(giving_up, return_exceptions=True)
        assert not mine.accounted_for
        await mine.get("/orders")
        assert (mine.accounted_for, mine.acknowledged) == (True, False)


async def test_an_action_that_wrote_is_never_told_that_nothing_happened() -> None:
    """I-7: when a later step fails for certain, the earlier write of the same action still stands."""
    async with wire(reply(), reply(404)) as upstream, doorway(upstream.port) as at:
        mine = at.write()
        await mine.post("/orders")
        error = await failure(mine.get("/orders/1"))
        assert (error.code, error.effect, error.status) == ("outcome_unknown", "unknown", 404)


async def test_a_cancelled_write_counts_as_one_that_may_have_happened() -> None:
    """I-9: whoever cancels can still learn that the request was on its way."""
    async with wire(hang) as upstream, doorway(upstream.port) as at:
        mine = at.write()
        task = asyncio.create_task(mine.post("/orders"))
        await upstream.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert mine.wrote
