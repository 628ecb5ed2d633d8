"""One action's words to its caller, on their way out: redacted, bounded in length and in number."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import Final

from gateway.caller import LEVELS, Client, Level
from gateway.tools.envelope import visible

MAX_PROGRESS: Final = 200
MAX_LINE: Final = 2_000
"""Characters of what goes with progress, and of a line that is told."""
_BURST: Final = 20
_PER_SECOND: Final = 5.0

Clean = Callable[[str], str]
"""Takes every known credential out of a text (semantics.md C-6)."""


class Conversation:
    """The `gateway.caller.Caller` of one action.

    Args:
        tool: whose words these are.
        client: who hears them; None when nobody waits any more, as after an approval.
        clean: see `Clean`.
        clock: seconds.
    """

    __slots__ = ("_began", "_clean", "_client", "_clock", "_said", "_tool")

    def __init__(
        self, tool: str, client: Client | None, clean: Clean, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._tool = tool
        self._client = client
        self._clean = clean
        self._clock = clock
        self._began = clock()
        self._said = 0

    def progress(self, done: float, total: float | None = None, message: str = "") -> None:
        """See `Caller`. What is no finite number is no progress."""
        if self._client is not None and all(map(math.isfinite, (done, total or 0.0))) and self._heard():
            self._client.progress(done, total, self._line(message, MAX_PROGRESS))

    def tell(self, level: Level, message: str) -> None:
        """See `Caller`."""
        if self._client is not None and self._heard():
            self._client.tell(level if level in LEVELS else "info", self._tool, self._line(message, MAX_LINE))

    def _heard(self) -> bool:
        """Whether there is room for one thing more."""
        if self._said >= _BURST + _PER_SECOND * (self._clock() - self._began):
            return False
        self._said += 1
        return True

    def _line(self, message: str, length: int) -> str:
        # Redacted before it is cut: half a credential would no longer be known for one.
        return visible(self._clean(message))[:length]
