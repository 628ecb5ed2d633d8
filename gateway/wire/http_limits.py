"""Two checks that stand before any credential: whose door this is, and who keeps knocking in vain."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Final

_REMEMBERED: Final = 4_096
"""Client addresses whose failures are counted; the longest unseen is forgotten first."""


class FailureLimit:
    """Failed authentications per client address: so many at once, refilled evenly. Memory is bounded.

    Args:
        count: failures allowed per `seconds`.
        seconds: the period.
        clock: seconds, never going back.
    """

    def __init__(self, count: int, seconds: float, clock: Callable[[], float]) -> None:
        self._count = count
        self._per_failure = seconds / count
        self._clock = clock
        # Address -> when its last failure will have been forgotten.
        self._clear_at: OrderedDict[str, float] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may try again; 0 when it may now."""
        ahead = self._clear_at.get(address, 0.0) - self._clock()
        return max(0.0, ahead - self._per_failure * (self._count - 1))

    def record(self, address: str) -> None:
        """Count one failure."""
        now = self._clock()
        self._clear_at[address] = max(self._clear_at.get(address, now), now) + self._per_failure
        self._clear_at.move_to_end(address)
        if len(self._clear_at) > _REMEMBERED:
            self._clear_at.popitem(last=False)


def host_matches(value: str | None, allowed: Sequence[str]) -> bool:
    """Whether a value is there and allowed. An entry that ends in `:*` allows any port."""
    if value is None:
        return False
    if value in allowed:
        return True
    value = value.lower()
    name, _, port = value.rpartition(":")
    return value in allowed or (port.isdecimal() and f"{name}:*" in allowed)
