"""How fast, how many at once, and how often again: what one upstream is spared (semantics.md R-4, R-6)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from aiolimiter import AsyncLimiter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from gateway.errors import UpstreamError
from gateway.outbound.answers import not_sent

T = TypeVar("T")

MAX_RETRIES: Final = 2
_SHARE: Final = 0.1
"""Of an upstream's recent traffic that may be retries."""
_RECENT: Final = 200
"""Calls that count as recent: more do not save up more retries."""
_FLOOR: Final = 3.0
"""Retries that a quiet upstream may have, however few calls it gets; regained within a minute."""
_FIRST_BACKOFF: Final = 0.1
_LONGEST_BACKOFF: Final = 2.0


class RetryBudget:
    """Allows one retry per ten calls, and a few to begin with, so that retries never become the load themselves.

    Args:
        clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._floor = _FLOOR
        self._earned = 0.0
        self._asked = clock()

    def earn(self) -> None:
        """Count one call that is no retry."""
        self._earned = min(self._earned + _SHARE, _SHARE * _RECENT)

    def spend(self) -> bool:
        """Take one retry out of the budget; False when there is none left."""
        now = self._clock()
        self._floor = min(_FLOOR, self._floor + (now - self._asked) * _FLOOR / 60)
        self._asked = now
        if self._earned >= 1:
            self._earned -= 1
            return True
        if self._floor >= 1:
            self._floor -= 1
            return True
        return False


class Pace:
    """Turns at one upstream, handed out in order.

    Args:
        calls_per_second: None for no smoothing.
        max_concurrent: calls at once.
    """

    def __init__(self, *, calls_per_second: float | None, max_concurrent: int) -> None:
        self.budget = RetryBudget()
        self._free = asyncio.Semaphore(max_concurrent)
        self._limiter = None
        if calls_per_second is not None:
            burst = max(1.0, calls_per_second)
            self._limiter = AsyncLimiter(burst, burst / calls_per_second)

    async def enter(self, deadline: float) -> None:
        """Wait until it is this call's turn, which it is until `leave`.

        Raises:
            UpstreamError: not sent; the event loop's clock passed `deadline` before.
        """
        if self._free.locked():
            await _in_time(self._free.acquire(), deadline)
        else:
            await self._free.acquire()
        if self._limiter is not None:
            try:
                await _in_time(self._limiter.acquire(), deadline)
            except BaseException:
                self.leave()
                raise

    def leave(self) -> None:
        """It is the next one's turn."""
        self._free.release()


async def _in_time(turn: Awaitable[object], deadline: float) -> None:
    try:
        async with asyncio.timeout_at(deadline):
            await turn
    except TimeoutError:
        raise not_sent("The system of record had no free place for this call in time.") from None


async def repeated(
    attempt: Callable[[], Awaitable[T]],
    *,
    budget: RetryBudget,
    repeatable: Callable[[UpstreamError], bool],
    deadline: float,
) -> T:
    """Make an attempt, and up to twice again: with full jitter, within the budget, never past `deadline`.

    Args:
        repeatable: whether the same request may be made again after this failure.
        deadline: on the event loop's clock.

    Raises:
        UpstreamError: of the last attempt.
    """
    budget.earn()
    try:
        return await attempt()
    except UpstreamError as failure:
        if not repeatable(failure):
            raise
        failures = [failure]

    def give_up(state: RetryCallState) -> bool:
        if state.attempt_number > MAX_RETRIES:
            return True
        if asyncio.get_running_loop().time() + state.upcoming_sleep >= deadline:
            return True
        return not budget.spend()

    async def following() -> T:
        # The first attempt is told, and not made, here: a call that works pays nothing for retries.
        if failures:
            raise failures.pop()
        return await attempt()

    return await AsyncRetrying(
        retry=retry_if_exception(lambda error: isinstance(error, UpstreamError) and repeatable(error)),
        wait=_wait,
        stop=give_up,
        reraise=True,
    )(following)


_jitter: Final = wait_random_exponential(multiplier=_FIRST_BACKOFF, max=_LONGEST_BACKOFF)


def _wait(state: RetryCallState) -> float:
    """What the upstream asked for, and a random part on top, so that not everybody comes back at once."""
    error = state.outcome.exception() if state.outcome else None
    asked = error.retry_after if isinstance(error, UpstreamError) and error.retry_after else 0.0
    return asked + _jitter(state)
