"""The store's time, in the hands of a test."""

from __future__ import annotations

from gateway.store.clock import wall_clock


class Clock:
    """The store's time: the true one, and what a test has added to it; or a moment at which it stands still."""

    def __init__(self) -> None:
        self._added = 0
        self._frozen: int | None = None

    def __call__(self) -> int:
        return self._frozen if self._frozen is not None else wall_clock() + self._added

    def turn(self, seconds: float) -> None:
        """Let so much time pass at once."""
        self._added += round(seconds * 1000)

    def stand_at(self, moment: int | None) -> None:
        """Stand still at `moment` (milliseconds since the epoch), or go on with None."""
        self._frozen = moment
