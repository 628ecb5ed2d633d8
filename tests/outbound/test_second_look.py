"""A write that waited is looked at once more before it leaves (semantics.md T-10, C-4, I-7)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from gateway.connector import Connector
from gateway.errors import LedgerUnavailable, Refusal
from gateway.outbound.egress import base_of
from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.lane import EngineFor
from gateway.permit import Permit
from tests.doorway import doorway, failure, soon
from tests.misbehaving import Act, close, reply, say_and_hang, wire

pytestmark = pytest.mark.anyio

STOPPED = Refusal("switched_off", "Everything has been stopped by an operator: an incident")
DOWN = LedgerUnavailable("The disk reported an error.")
A_WHILE = 0.06
"""Seconds after which a write that was let out is looked at again."""


class Switch:
    """What the door asks; a hand may lie on it while calls are under way."""

    def __init__(self) -> None:
        self.looks = 0
        self._answer: Refusal | LedgerUnavailable | None = None

    async def __call__(self, permit: Permit, connector: str) -> Refusal | None:
        self.looks += 1
        if isinstance(self._answer, LedgerUnavailable):
            raise self._answer
        return self._answer

    def turn(self, answer: Refusal | LedgerUnavailable) -> None:
        """An operator stops everything, or the store fails."""
        self._answer = answer

    def turned(self, answer: Refusal | LedgerUnavailable, act: Act) -> Act:
        """`act`, while which that happens."""

        async def while_acting(writer: asyncio.StreamWriter) -> bool:
            self.turn(answer)
            return await act(writer)

        return while_acting


def resolving_slowly(meanwhile: Callable[[], None]) -> EngineFor:
    """An engine whose connections take a while, for want of the upstream's address; something happens `meanwhile`."""

    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.sleep(A_WHILE)
        meanwhile()
        return ["127.0.0.1"]

    return lambda connector: AiohttpEngine(base_of(connector), internal=True, resolve=resolve)


async def test_a_write_is_stopped_that_waits_for_its_turn() -> None:
    """T-10, R-4: it was let out, and had no place yet; a read may still be made."""
    switch = Switch()
    switch.turn(STOPPED)
    async with wire(reply()) as upstream, doorway(upstream.port, calls_per_second=1, stopped=switch) as at:
        await at.read().get("/orders")
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, error.sent, mine.wrote) == ("switched_off", "none", False, False)
        assert len(upstream.arrivals) == 1


async def test_a_write_is_stopped_that_waits_for_its_connection() -> None:
    """T-10: not a byte of it leaves, though there is a connection in the end; which serves the next request."""
    switch = Switch()
    async with wire() as upstream:
        engine = resolving_slowly(lambda: switch.turn(STOPPED))
        url = f"http://billing.internal:{upstream.port}"
        async with doorway(upstream.port, base_url=url, engine=engine, stopped=switch) as at:
            mine = at.write()
            error = await failure(mine.post("/orders"))
            assert (error.code, error.effect, error.sent, mine.wrote) == ("switched_off", "none", False, False)
            assert upstream.arrivals == []
            await at.read().get("/orders")
            assert (len(upstream.arrivals), upstream.connections) == (1, 1)


async def test_a_write_that_waited_for_its_connection_and_was_not_stopped_goes_out_once() -> None:
    """T-10: what is looked at once more, and may go on, goes on."""
    switch = Switch()
    async with wire() as upstream:
        url = f"http://billing.internal:{upstream.port}"
        engine = resolving_slowly(lambda: None)
        async with doorway(upstream.port, base_url=url, engine=engine, stopped=switch) as at:
            mine = at.write()
            await mine.post("/orders")
            assert (switch.looks, len(upstream.writes), mine.acknowledged) == (1, 1, True)


async def test_a_write_that_does_not_wait_is_not_looked_at_again() -> None:
    """T-10: on a connection that was kept, right after its permit, the look of the admission is the last one."""
    switch = Switch()
    async with wire() as upstream, doorway(upstream.port, stopped=switch) as at:
        await at.read().get("/orders")
        for _ in range(10):
            await at.write().post("/orders")
        assert len(upstream.writes) == 10
        assert switch.looks < 10, "a busy machine may well make one of them wait"


@pytest.mark.parametrize("act", [close, say_and_hang(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")])
async def test_a_connection_that_is_spoilt_while_a_write_is_looked_at_has_sent_nothing(act: Act) -> None:
    """I-7: what was not begun is in no doubt, and what came before it was sent is not its answer."""

    async def slowly(permit: Permit, connector: str) -> None:
        await asyncio.sleep(A_WHILE)

    async with wire(on_accept=act) as upstream:
        url = f"http://billing.internal:{upstream.port}"
        engine = resolving_slowly(lambda: None)
        async with doorway(upstream.port, base_url=url, engine=engine, stopped=slowly) as at:
            mine = at.write(seconds=0.5)
            error = await failure(mine.post("/orders"))
            assert (error.code, error.effect, error.sent, mine.wrote) == ("upstream_unreachable", "none", False, False)


async def test_a_look_that_takes_too_long_ends_at_the_deadline() -> None:
    """R-8: a store that does not answer keeps no call, and opens nothing."""

    async def never(permit: Permit, connector: str) -> None:
        await asyncio.Event().wait()

    async with wire() as upstream:
        url = f"http://billing.internal:{upstream.port}"
        engine = resolving_slowly(lambda: None)
        async with doorway(upstream.port, base_url=url, engine=engine, stopped=never) as at:
            error = await failure(at.write(seconds=0.3).post("/orders"))
            assert (error.code, error.effect, error.sent) == ("upstream_unreachable", "none", False)
            assert upstream.arrivals == []


async def test_what_passed_between_the_permit_and_the_door_counts_as_waiting() -> None:
    """T-10: what stops it may have come meanwhile, and the look of the admission is as old as the permit."""
    switch = Switch()
    async with wire() as upstream, doorway(upstream.port, stopped=switch) as at:
        await at.read().get("/orders")
        permit = at.permit(at.writing)
        await asyncio.sleep(A_WHILE)
        await at.door.open(at.writing, permit, deadline=soon()).post("/orders")
        assert (switch.looks, len(upstream.writes)) == (1, 1)


async def test_nothing_is_sent_once_the_time_is_up_though_there_is_a_connection() -> None:
    """R-8, I-7: a busy machine may come to it too late; what has no time for an answer would be in doubt."""

    async def busily(permit: Permit, connector: str) -> None:
        time.sleep(0.3)  # noqa: ASYNC251 - nothing else runs meanwhile, which is the point

    async with wire() as upstream:
        url = f"http://billing.internal:{upstream.port}"
        engine = resolving_slowly(lambda: None)
        async with doorway(upstream.port, base_url=url, engine=engine, stopped=busily) as at:
            mine = at.write(seconds=0.25)
            error = await failure(mine.post("/orders"))
            assert (error.code, error.effect, error.sent, mine.wrote) == ("upstream_unreachable", "none", False, False)
            assert upstream.arrivals == []


async def test_a_connection_that_does_not_come_ends_at_the_deadline() -> None:
    """R-8: before the five seconds that it may take at most."""

    async def resolve(host: str, port: int) -> list[str]:
        await asyncio.Event().wait()
        return []

    def never(connector: Connector) -> AiohttpEngine:
        return AiohttpEngine(base_of(connector), internal=True, resolve=resolve)

    async with wire() as upstream:
        url = f"http://billing.internal:{upstream.port}"
        async with doorway(upstream.port, base_url=url, engine=never) as at, asyncio.timeout(3):
            error = await failure(at.read(seconds=0.2).get("/orders"))
            assert (error.code, error.effect, error.sent) == ("upstream_unreachable", "none", False)


async def test_where_nobody_knows_whether_it_is_stopped_it_does_not_go_out() -> None:
    """T-10, L-1: a store that fails between two attempts opens nothing."""
    switch = Switch()
    busy = switch.turned(DOWN, reply(429, headers={"Retry-After": "1"}))
    async with wire(busy, reply()) as upstream, doorway(upstream.port, stopped=switch) as at:
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, error.sent, mine.wrote) == ("upstream_unreachable", "none", False, False)
        assert len(upstream.arrivals) == 1


async def test_a_stop_after_an_unanswered_attempt_leaves_the_outcome_unknown() -> None:
    """I-7: that the second attempt was stopped says nothing of the first."""
    switch, header = Switch(), "Idempotency-Key"
    unclear = switch.turned(STOPPED, reply(503, headers={"Retry-After": "1"}))
    async with (
        wire(unclear, reply()) as upstream,
        doorway(upstream.port, stopped=switch, idempotency_header=header) as at,
    ):
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect) == ("outcome_unknown", "unknown")
        assert (mine.wrote, mine.acknowledged) == (True, False)
        assert len(upstream.arrivals) == 1


async def test_a_stop_between_two_steps_leaves_out_the_second_and_does_not_deny_the_first() -> None:
    """I-7, T-10: of an action of several writes, what was done stays done, and nothing more goes out."""
    switch = Switch()
    acts = (reply(), switch.turned(STOPPED, reply(429, headers={"Retry-After": "1"})), reply())
    async with wire(*acts) as upstream, doorway(upstream.port, stopped=switch) as at:
        mine = at.write()
        await mine.post("/orders")
        await mine.get("/orders")
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, mine.wrote) == ("outcome_unknown", "unknown", True)
        assert len(upstream.arrivals) == 3
