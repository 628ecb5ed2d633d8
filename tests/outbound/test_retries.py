"""When a request is made again, and when it must not be (semantics.md R-6, S28)."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.exchange import NOT_SENT
from gateway.outbound.pacing import RetryBudget
from tests.doorway import doorway, failure, sent, soon
from tests.misbehaving import Act, close, hang, reply, reset, say, wire

pytestmark = pytest.mark.anyio

KEYED: dict[str, Any] = {"idempotency_header": "Idempotency-Key"}


@pytest.mark.parametrize("act", [close, reset, reply(500), reply(503), reply(408), say(b"HTTP/1.1 2")])
async def test_a_read_is_made_again_twice_at_most(act: Act) -> None:
    """R-6: a GET that failed on the way, or at the upstream, costs nothing to repeat."""
    async with wire(act) as upstream, doorway(upstream.port) as at:
        error = await failure(at.read().get("/orders"))
        assert (error.code, error.effect) == ("upstream_failed", "none")
        assert len(upstream.arrivals) == 3


async def test_a_read_that_works_the_second_time_is_good() -> None:
    """R-6: the caller never hears of the first."""
    async with wire(close, reply(body="[1]")) as upstream, doorway(upstream.port) as at:
        assert await at.read().get("/orders") == [1]
        assert len(upstream.arrivals) == 2


@pytest.mark.parametrize("status", [400, 404, 302])
async def test_a_definite_answer_is_not_asked_for_again(status: int) -> None:
    """R-6: repeating would change nothing."""
    async with wire(reply(status)) as upstream, doorway(upstream.port) as at:
        await failure(at.read().get("/orders"))
        assert len(upstream.arrivals) == 1


async def test_a_busy_upstream_is_asked_again_when_it_said_so() -> None:
    """R-6: 429 is not executed, so even a write may be made again, and not before Retry-After."""
    async with wire(reply(429, headers={"Retry-After": "1"}), reply()) as upstream, doorway(upstream.port) as at:
        begun = asyncio.get_running_loop().time()
        assert await at.write().post("/orders") == {}
        assert asyncio.get_running_loop().time() - begun >= 1
        assert len(upstream.arrivals) == 2


@pytest.mark.parametrize("act", [close, reset, reply(500), say(b"HTTP/1.1 2")])
async def test_an_unanswered_write_is_made_again_under_the_same_key(act: Act) -> None:
    """I-8, I-10, S9: an upstream that honours keys is asked again, with the same one."""
    async with wire(act, reply(body='{"n":1}')) as upstream, doorway(upstream.port, **KEYED) as at:
        mine = at.write()
        assert await mine.post("/orders", {"n": 1}) == {"n": 1}
        first, second = upstream.arrivals
        assert first.headers["idempotency-key"] == second.headers["idempotency-key"] == mine.reference
        assert first.body == second.body
        assert (mine.wrote, mine.acknowledged) == (True, True)


@pytest.mark.parametrize("act", [reply(404), reply(409), reply(422), reply(429, headers={"Retry-After": "60"})])
async def test_a_refusal_after_an_unanswered_attempt_stays_unknown(act: Act) -> None:
    """I-7: "nothing happened" is true of the second attempt only; the first may have moved the money."""
    async with wire(close, act) as upstream, doorway(upstream.port, **KEYED) as at:
        mine = at.write()
        error = await failure(mine.post("/orders"))
        assert (error.code, error.effect, error.sent) == ("outcome_unknown", "unknown", True)
        assert len(upstream.arrivals) == 2
        assert (mine.wrote, mine.acknowledged) == (True, False)


async def test_a_vault_that_closes_between_two_attempts_leaves_the_outcome_unknown() -> None:
    """I-7, S32: no credential for the second attempt says nothing of the first."""
    async with wire() as upstream, doorway(upstream.port, **KEYED) as at:

        async def rotate_and_close(writer: asyncio.StreamWriter) -> bool:
            at.vault.values.clear()
            at.broker.invalidate(at.connector.credential or "")
            return False

        upstream.acts[:] = [rotate_and_close]
        error = await failure(at.write().post("/orders"))
        assert (error.code, error.effect) == ("outcome_unknown", "unknown")
        assert len(upstream.arrivals) == 1


async def test_an_upstream_that_disappears_after_an_unanswered_attempt_leaves_the_outcome_unknown() -> None:
    """I-7: "not sent" is true of the second attempt only."""
    async with wire() as upstream, doorway(upstream.port, **KEYED) as at:
        first = asyncio.Event()

        async def close_for_good(writer: asyncio.StreamWriter) -> bool:
            upstream.on_accept = reset
            first.set()
            return False

        upstream.acts[:] = [close_for_good]
        error = await failure(at.write().post("/orders"))
        assert first.is_set()
        assert (error.code, error.effect) == ("outcome_unknown", "unknown")


async def test_nothing_is_made_again_past_the_deadline() -> None:
    """R-6, R-8: a retry that could not begin in time is not begun."""
    async with wire(hang) as upstream, doorway(upstream.port) as at:
        await failure(at.read(seconds=0.3).get("/orders"))
        assert len(upstream.arrivals) == 1


async def test_retries_stay_a_tenth_of_the_traffic() -> None:
    """S28: an upstream that always fails gets at most 10% more, and the few that a quiet one may have."""
    async with wire(reply(500)) as upstream, doorway(upstream.port) as at:
        calls = 100
        for batch in range(0, calls, 20):
            assert batch < calls
            await asyncio.gather(*(failure(at.read().get("/orders")) for _ in range(20)))
        assert calls < len(upstream.arrivals) <= calls * 1.1 + 3


def test_a_retry_budget_fills_with_traffic_and_slowly_with_time() -> None:
    """R-6: one retry in ten calls, three to begin with, and three more per quiet minute."""
    now = [0.0]
    budget = RetryBudget(clock=lambda: now[0])
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]
    for _ in range(11):
        budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]
    now[0] = 61.0
    assert [budget.spend() for _ in range(4)] == [True, True, True, False]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
async def test_the_engine_never_sends_anything_twice(method: str) -> None:
    """R-6, one layer: not on fresh connections, and not on kept ones."""
    async with wire(reply(), close) as upstream:
        engine = AiohttpEngine(f"http://127.0.0.1:{upstream.port}", internal=True)
        assert (await sent(engine, "GET", "/", [], b"", deadline=soon())).status == 200
        for arrivals in (2, 3):
            with pytest.raises(httpx.TransportError) as caught:
                await sent(engine, method, "/", [], b"", deadline=soon())
            assert not isinstance(caught.value, NOT_SENT)
            assert len(upstream.arrivals) == arrivals
        assert upstream.connections == 2
        await engine.aclose()
