"""What the door needs of `vault.broker`: a credential on loan, and word when one is not accepted."""

from __future__ import annotations

from typing import Protocol

from gateway.permit import Permit
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
