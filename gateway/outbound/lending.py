"""What the door needs of `vault.broker`: a credential on loan, and word when one is not accepted."""

from __future__ import annotations

import asyncio
from typing import Protocol

from gateway.errors import CredentialUnavailable
from gateway.outbound.answers import not_sent
from gateway.permit import Permit
from gateway.telemetry.requests import leasing
from vault.secret import Secret


class Leased(Protocol):
    """A credential on loan."""

    @property
    def secret(self) -> Secret:
        """Its value."""
        ...

    @property
    def version(self) -> str:
        """As the vault counts; may be recorded (semantics.md C-3)."""
        ...


class Lender(Protocol):
    """What the door needs of `vault.broker.Broker`."""

    def at_hand(self, permit: Permit) -> Leased | None:
        """The credential that `permit` names, when nobody has to be asked for it."""
        ...

    async def lease(self, permit: Permit) -> Leased | None:
        """The credential that `permit` names; None when its connector needs none."""
        ...

    def invalidate(self, reference: str) -> None:
        """Forget a credential that the upstream does not accept."""
        ...


async def lent(broker: Lender, permit: Permit, connector: str, deadline: float) -> Leased | None:
    """The credential that `permit` names; None when it names none.

    Args:
        connector: its name, for what is told of how long it took.
        deadline: on the event loop's clock.

    Raises:
        CredentialUnavailable: there is none that could be sent.
        UpstreamError: not sent; the vault took too long.
    """
    reference = permit.credential
    try:
        with leasing(connector if reference is not None else None):
            lease = broker.at_hand(permit)
            if lease is None and reference is not None:
                async with asyncio.timeout_at(deadline):
                    lease = await broker.lease(permit)
    except TimeoutError:
        raise not_sent("The vault did not lend the credential in time.") from None
    if reference is None:
        return None
    if lease is None:
        raise CredentialUnavailable(f"The vault lent nothing for {reference}.")
    if not lease.secret.fits_a_header():
        raise CredentialUnavailable(f"The value of {reference} cannot be sent as a header.")
    return lease
