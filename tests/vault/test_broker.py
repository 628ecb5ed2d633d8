"""The broker leases to vouched permits only, once at a time, and never a value whose time is up."""

from __future__ import annotations

import asyncio
import copy
import pickle
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import pytest

from gateway.errors import CredentialUnavailable
from gateway.permit import Permit
from tests.vault.conftest import CANARY
from vault.broker import Broker, Reading
from vault.reference import Reference
from vault.secret import Secret

pytestmark = pytest.mark.anyio

Mint: TypeAlias = Callable[[str | None], Permit]
TOKEN = "kv/billing/refunds#token"


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


class Shelf:
    """A backend in memory whose answers wait for `open` and whose value counts its reads."""

    def __init__(self, ttl: float | None = None) -> None:
        self.reads = 0
        self.ttl = ttl
        self.down = False
        self.closed = False
        self.value: str | None = None
        self.open = asyncio.Event()
        self.open.set()
        self.asked = asyncio.Event()

    async def read(self, reference: Reference) -> Reading:
        self.reads += 1
        version = self.reads
        self.asked.set()
        await self.open.wait()
        if self.down:
            raise CredentialUnavailable(f"no {reference}")
        return Reading(Secret(self.value or f"value-{version}"), str(version), self.ttl, "accessor")

    async def check(self) -> str:
        return "fine"

    async def close(self) -> None:
        self.closed = True


async def test_a_vouched_permit_gets_the_value_and_what_may_be_recorded(permit: Mint) -> None:
    """C-3: a lease carries reference, version and accessor beside the secret."""
    lease = await Broker(Shelf()).lease(permit(TOKEN))
    assert lease is not None
    assert (lease.secret.expose(), str(lease.reference), lease.version, lease.accessor) == (
        "value-1",
        TOKEN,
        "1",
        "accessor",
    )
    assert "value-1" not in repr(lease)


async def test_a_permit_that_was_not_minted_here_gets_nothing(permit: Mint) -> None:
    """C-3: no ledger line, no permit; no permit, no credential: not even for a forged permit that names none."""
    shelf = Shelf()
    broker = Broker(shelf)
    minted = permit(TOKEN)
    changed: list[dict[str, Any]] = [{}, {"credential": "kv/other#token"}, {"credential": None}, {"fence": 2}]
    copies = (copy.copy(minted), copy.deepcopy(minted), pickle.loads(pickle.dumps(minted)))
    for forged in (*(replace(minted, **fields) for fields in changed), *copies):
        with pytest.raises(CredentialUnavailable, match="not minted"):
            await broker.lease(forged)
    assert shelf.reads == 0


async def test_a_connector_without_a_credential_gets_none(permit: Mint) -> None:
    """C-3: nothing is read when nothing is needed."""
    shelf = Shelf()
    assert await Broker(shelf).lease(permit(None)) is None
    assert shelf.reads == 0


async def test_callers_at_the_same_time_share_one_read(permit: Mint) -> None:
    """C-3: single flight per reference; one caller that gives up does not take the others' answer away."""
    shelf = Shelf()
    shelf.open.clear()
    broker = Broker(shelf)
    callers = [asyncio.create_task(broker.lease(permit(TOKEN))) for _ in range(5)]
    other = asyncio.create_task(broker.lease(permit("kv/crm/edits#token")))
    await asyncio.wait_for(shelf.asked.wait(), 5)
    callers[0].cancel()
    with pytest.raises(asyncio.CancelledError):
        await callers[0]
    shelf.open.set()
    leases = await asyncio.gather(*callers[1:])
    assert len({id(lease) for lease in leases}) == 1
    assert await other is not leases[0]
    assert shelf.reads == 2


@pytest.mark.parametrize(
    ("ttl", "cache_seconds", "kept"), [(None, 60.0, 60), (None, 3600.0, 60), (None, 5.0, 5), (100.0, 60.0, 10)]
)
async def test_a_value_is_kept_for_a_minute_or_a_tenth_of_its_lease(
    permit: Mint, ttl: float | None, cache_seconds: float, kept: int
) -> None:
    """C-3: cache at most 60 s or 10% of the lease, counted from before the read."""
    shelf, clock = Shelf(ttl), Clock()
    broker = Broker(shelf, cache_seconds=cache_seconds, clock=clock)
    await broker.lease(permit(TOKEN))
    clock.now += kept - 0.01
    await broker.lease(permit(TOKEN))
    assert shelf.reads == 1
    clock.now += 0.02
    await broker.lease(permit(TOKEN))
    assert shelf.reads == 2


async def test_a_vault_that_is_down_is_not_papered_over_with_an_old_value(permit: Mint) -> None:
    """C-3, S32: beyond its time in the cache a value is refused, also at the second asking."""
    shelf, clock = Shelf(), Clock()
    broker = Broker(shelf, clock=clock)
    await broker.lease(permit(TOKEN))
    shelf.down = True
    assert await broker.lease(permit(TOKEN)) is not None
    clock.now += 60
    for _ in range(2):
        with pytest.raises(CredentialUnavailable, match=TOKEN):
            await broker.lease(permit(TOKEN))
    shelf.down = False
    lease = await broker.lease(permit(TOKEN))
    assert lease is not None
    assert lease.version == "4"


async def test_a_value_that_the_upstream_refused_is_read_again(permit: Mint) -> None:
    """C-3: invalidate forgets the value, and a read that began before is not handed to those who ask after."""
    shelf = Shelf()
    broker = Broker(shelf)
    first = await broker.lease(permit(TOKEN))
    broker.invalidate(TOKEN)
    shelf.open.clear()
    shelf.asked.clear()
    early = asyncio.create_task(broker.lease(permit(TOKEN)))
    await asyncio.wait_for(shelf.asked.wait(), 5)
    broker.invalidate(TOKEN)
    shelf.asked.clear()
    late = asyncio.create_task(broker.lease(permit(TOKEN)))
    await asyncio.wait_for(shelf.asked.wait(), 5)
    shelf.open.set()
    leases = [first, await early, await late, await broker.lease(permit(TOKEN))]
    assert [lease.version for lease in leases if lease] == ["1", "2", "3", "3"]


async def test_a_value_that_was_refused_while_it_was_read_is_not_kept(permit: Mint) -> None:
    """C-3: a read overtaken by an invalidation serves those who waited for it, and nobody after."""
    shelf = Shelf()
    shelf.open.clear()
    broker = Broker(shelf)
    early = asyncio.create_task(broker.lease(permit(TOKEN)))
    await asyncio.wait_for(shelf.asked.wait(), 5)
    broker.invalidate(TOKEN)
    shelf.open.set()
    leases = [await early, await broker.lease(permit(TOKEN))]
    assert [lease.version for lease in leases if lease] == ["1", "2"]


async def test_redaction_learns_a_value_before_anyone_can_use_it(permit: Mint) -> None:
    """C-6: `on_secret` sees each value first; when it fails, there is no lease."""
    learned: list[str] = []
    broker = Broker(Shelf(), on_secret=lambda secret: learned.append(secret.expose()))
    lease = await broker.lease(permit(TOKEN))
    assert lease is not None
    assert learned == [lease.secret.expose()]

    def refuse(secret: Secret) -> None:
        raise RuntimeError("cannot redact")

    broker = Broker(Shelf(), on_secret=refuse)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="cannot redact"):
            await broker.lease(permit(TOKEN))


@pytest.mark.parametrize("value", [f"{CANARY}\n", f"{CANARY}\r\nX-Admin: yes"])
async def test_a_value_that_would_break_a_header_is_not_leased(permit: Mint, value: str) -> None:
    """C-5: a stray line break is told with its reference, not with its value."""
    shelf = Shelf()
    shelf.value = value
    with pytest.raises(CredentialUnavailable, match="line break") as failure:
        await Broker(shelf).lease(permit(TOKEN))
    assert TOKEN in str(failure.value)
    assert CANARY not in str(failure.value)


async def test_a_permit_with_a_malformed_reference_gets_nothing(permit: Mint) -> None:
    """C-3: what cannot be a reference is an unavailable credential, and is not repeated."""
    with pytest.raises(CredentialUnavailable, match="#field") as failure:
        await Broker(Shelf()).lease(permit(CANARY))
    assert CANARY not in str(failure.value)


async def test_closing_stops_what_is_under_way(permit: Mint) -> None:
    """C-4: after close no reading goes on, and the backend is closed."""
    shelf = Shelf()
    shelf.open.clear()
    broker = Broker(shelf)
    caller = asyncio.create_task(broker.lease(permit(TOKEN)))
    await asyncio.wait_for(shelf.asked.wait(), 5)
    await broker.close()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert shelf.closed
