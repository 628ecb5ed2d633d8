"""Rates are refused, never queued, and the retry-after is exact (semantics.md R-1)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import Rate
from gateway.errors import Refusal
from gateway.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@given(st.integers(1, 50), st.floats(0.5, 3600), st.lists(st.floats(0, 100), max_size=200))
def test_never_more_than_the_count_plus_refill(count: int, seconds: float, gaps: list[float]) -> None:
    """R-1: over any stretch of time, at most the burst plus what has refilled is admitted."""
    clock = Clock()
    throttle, rate = Throttle(clock), ("r", Rate(count, seconds))
    admitted = 0
    for gap in gaps:
        clock.now += gap
        try:
            throttle.admit([rate])
        except Refusal:
            continue
        admitted += 1
    assert admitted <= count + (clock.now - 100.0) * count / seconds + 1e-6


@given(st.integers(1, 20), st.floats(1, 600))
def test_the_retry_after_is_exact(count: int, seconds: float) -> None:
    """R-1: a refused call succeeds after the time it was told, and a moment earlier it does not."""
    clock = Clock()
    throttle, rate = Throttle(clock), ("r", Rate(count, seconds))
    for _ in range(count):
        throttle.admit([rate])
    with pytest.raises(Refusal) as refused:
        throttle.admit([rate])
    wait = (refused.value.retry_after_ms or 0) / 1000
    clock.now += wait - 0.002
    with pytest.raises(Refusal):
        throttle.admit([rate])
    clock.now += 0.003
    throttle.admit([rate])


def test_a_refusal_spends_nothing_elsewhere() -> None:
    """R-1: when one rate refuses a call, the others have not counted it."""
    throttle = Throttle(Clock())
    throttle.admit([("tight", Rate(1, 60))])
    for _ in range(5):
        with pytest.raises(Refusal):
            throttle.admit([("wide", Rate(2, 60)), ("tight", Rate(1, 60))])
    throttle.admit([("wide", Rate(2, 60))])
    throttle.admit([("wide", Rate(2, 60))])
