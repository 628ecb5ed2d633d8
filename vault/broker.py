"""No permit, no credential: leases a secret to an action that is already on the ledger (semantics.md C-3)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from gateway.errors import CredentialUnavailable, StartupError
from gateway.permit import Permit
from vault.reference import Reference
from vault.secret import Secret

LONGEST_CACHE = 60.0
"""Seconds a value may be used without asking the vault again (semantics.md C-3)."""
_SHARE_OF_TTL = 0.1


class Reading(NamedTuple):
    """What a backend found under a reference."""

    secret: Secret
    version: str
    """As the backend counts; changes whenever the value does."""
    ttl_seconds: float | None = None
    """How long the value is leased for; None when it has no lease."""
    accessor: str | None = None
    """What the vault's own audit log calls the session that read it. No credential."""


@dataclass(frozen=True, slots=True)
class Lease:
    """One credential, on loan to one action. Everything but `secret` may be recorded (semantics.md C-3)."""

    secret: Secret
    reference: Reference
    version: str
    accessor: str | None


class Backend(Protocol):
    """A store of secrets."""

    async def read(self, reference: Reference) -> Reading:
        """The newest value under `reference`.

        Raises:
            CredentialUnavailable: when there is none, or the vault cannot be asked. One sentence with a remedy
                that names the reference; no value, and no text of the vault's, in it or in what it chains to.
        """
        ...

    async def check(self) -> str:
        """One sentence for the operator on how the vault is doing.

        Raises:
            CredentialUnavailable: when it could not serve a read now.
        """
        ...

    async def close(self) -> None:
        """Let go of every connection, thread and task."""
        ...


@dataclass(frozen=True, slots=True)
class _Cached:
    lease: Lease
    until: float


class Broker:
    """Leases credentials to permits; one read per reference at a time, kept for a short while.

    Args:
        backend: where the secrets are.
        cache_seconds: how long a value is kept; at most 60, and at most a tenth of the value's lease.
        clock: monotonic seconds.
        on_secret: told every value before anyone can use it, so that redaction knows it first (semantics.md C-6).
    """

    def __init__(
        self,
        backend: Backend,
        *,
        cache_seconds: float = LONGEST_CACHE,
        clock: Callable[[], float] = time.monotonic,
        on_secret: Callable[[Secret], object] | None = None,
    ) -> None:
        self._backend = backend
        self._cache_seconds = min(cache_seconds, LONGEST_CACHE)
        self._clock = clock
        self._on_secret = on_secret
        self._cache: dict[str, _Cached] = {}
        self._flights: dict[str, asyncio.Task[Lease]] = {}

    def at_hand(self, permit: Permit) -> Lease | None:
        """The credential that `permit` names, when the backend need not be asked for it.

        Raises:
            CredentialUnavailable: the permit was not minted by this process.
        """
        if not permit.vouched():
            raise CredentialUnavailable(
                f"The permit of action {permit.action_id} was not minted by this gateway, so it gets no credential. "
                "Make the call again."
            )
        cached = self._cache.get(permit.credential) if permit.credential is not None else None
        return cached.lease if cached is not None and self._clock() < cached.until else None

    async def lease(self, permit: Permit) -> Lease | None:
        """The credential that `permit` names; None when its connector needs none.

        Raises:
            CredentialUnavailable: the permit was not minted by this process, or the vault has no value to give.
                A value whose time is up is never used instead.
        """
        lease = self.at_hand(permit)
        if lease is not None or permit.credential is None:
            return lease
        flight = self._flights.get(permit.credential)
        if flight is None:
            flight = asyncio.create_task(self._read(permit.credential), name=f"lease {permit.credential}")
            self._flights[permit.credential] = flight
            flight.add_done_callback(_mark_retrieved)
        # Shielded: a caller that gives up must not take the others' reading with it.
        return await asyncio.shield(flight)

    def invalidate(self, reference: str) -> None:
        """Forget the value, and any reading under way: the upstream has just refused it with a 401."""
        self._cache.pop(reference, None)
        self._flights.pop(reference, None)

    async def close(self) -> None:
        """Forget every value, stop every reading and close the backend."""
        flights = list(self._flights.values())
        self._flights.clear()
        self._cache.clear()
        for flight in flights:
            flight.cancel()
        await asyncio.gather(*flights, return_exceptions=True)
        await self._backend.close()

    async def _read(self, name: str) -> Lease:
        started = self._clock()
        try:
            lease, keep = await self._fetch(name)
        finally:
            current = self._flights.get(name) is asyncio.current_task()
            if current:
                del self._flights[name]
        if current:  # else it was invalidated meanwhile, and may be the very value that was refused
            self._cache[name] = _Cached(lease, started + keep)
        return lease

    async def _fetch(self, name: str) -> tuple[Lease, float]:
        try:
            reference = Reference.parse(name)
        except StartupError as malformed:
            raise CredentialUnavailable(f"{malformed.message} {malformed.remedy}") from None
        reading = await self._backend.read(reference)
        if not reading.secret.fits_a_header():
            raise CredentialUnavailable(
                f"The value of {reference} cannot be sent as a header: it is empty, starts or ends with a space or "
                "holds a line break or a character that is not printable ASCII. Store it again without."
            )
        if self._on_secret is not None:
            self._on_secret(reading.secret)
        ttl = reading.ttl_seconds
        keep = self._cache_seconds if ttl is None else min(self._cache_seconds, _SHARE_OF_TTL * ttl)
        return Lease(reading.secret, reference, reading.version, reading.accessor), keep


def _mark_retrieved(flight: asyncio.Task[Lease]) -> None:
    """Keep asyncio from reporting a failure whose callers have all gone."""
    if not flight.cancelled():
        flight.exception()
