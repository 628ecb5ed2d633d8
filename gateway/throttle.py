"""Rates: refuse with an exact retry-after, never queue (semantics.md R-1). Counts live in this process's memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable

from gateway.decision import Rate
from gateway.errors import Refusal
from gateway.model import Principal
from gateway.wording import counted

_SWEEP_AT = 10_000


def everything_of(principal: Principal, rate: Rate) -> tuple[str, Rate]:
    """The rate of all that a principal asks for, for `Throttle.admit`."""
    return f"principal:{principal.tenant}/{principal.id}", rate


class Throttle:
    """Attempts per period, by the generic cell rate algorithm: one number per counter, a burst of the whole count.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._free_at: dict[str, float] = {}
        """Per counter: when it would be empty again if nothing more arrived."""

    def admit(self, rates: Iterable[tuple[str, Rate]]) -> None:
        """Count one attempt against every rate, or against none when one of them is used up.

        Raises:
            Refusal: `rate_limited`, with the milliseconds until the same call would be admitted.
        """
        now = self._clock()
        taken: list[tuple[str, float]] = []
        for name, rate in rates:
            after = max(self._free_at.get(name, now), now) + rate.seconds / rate.count
            wait = after - now - rate.seconds
            if wait > 1e-9:
                milliseconds = max(1, math.ceil(wait * 1000))
                allowed = f"{counted(rate.count, 'call')} in {rate.seconds:g} s"
                raise Refusal(
                    "rate_limited",
                    f"More than {allowed}; the next is free in {milliseconds} ms.",
                    retry_after_ms=milliseconds,
                    rules=(name,),
                )
            taken.append((name, after))
        self._free_at.update(taken)
        if len(self._free_at) > _SWEEP_AT:
            self._free_at = {name: at for name, at in self._free_at.items() if at > now}
