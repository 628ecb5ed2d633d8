"""Health and readiness: an outage is told as one, and no flood of probes reaches the store."""

from __future__ import annotations

import asyncio
import time

from gateway.wire.probes import Probes
from tests.serving import served
from tests.shop import Shop
from tests.wire.raw import call_body, exchange, request


def test_a_store_that_is_down_is_an_outage_and_not_a_bad_credential(gateway: Shop, port: int) -> None:
    """503, which clients retry, and never 401, which makes some open a login; readiness follows."""
    gateway.store_is_up = False
    assert exchange(port, request(call_body()))[0] == 503
    assert exchange(port, request(method="GET", path="/readyz", host="10.0.0.7:80"))[0] == 503
    assert exchange(port, request(method="GET", path="/healthz", host="10.0.0.7:80"))[0] == 200


def test_a_flood_of_probes_looks_once_a_second(gateway: Shop) -> None:
    """Whoever asks without a credential gets the answer of the last look; after a second the store is asked again."""
    now = 100.0
    with served(gateway, clock=lambda: now) as port:
        ready = request(method="GET", path="/readyz")
        assert [exchange(port, ready)[0] for _ in range(20)] == [200] * 20
        assert gateway.looks == 1
        gateway.store_is_up = False
        now += 1.0
        assert [exchange(port, ready)[0] for _ in range(20)] == [503] * 20
        assert gateway.looks == 2


def test_probes_at_one_time_share_one_look() -> None:
    """While the store does not answer, nobody asks it again; who leaves ends nothing for the others."""
    looks = 0

    async def scenario() -> None:
        store = asyncio.Event()

        async def ready() -> bool:
            nonlocal looks
            looks += 1
            return await store.wait()

        probes = Probes(ready, {}, time.monotonic)
        waiting = [asyncio.create_task(probes.answer("GET", "/readyz")) for _ in range(20)]
        await asyncio.sleep(0)
        waiting.pop(0).cancel()
        store.set()
        assert {answer.status for answer in await asyncio.gather(*waiting) if answer} == {200}

    asyncio.run(scenario())
    assert looks == 1
