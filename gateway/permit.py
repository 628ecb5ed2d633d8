"""The right to make an action's outbound calls, and how it is known that this process gave it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakSet

from gateway.model import Mode


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Permit:
    """The right to make one action's outbound calls. Minted only by the transaction that writes the intent line.

    No ledger line, no permit; no permit, no credential. What counts is the very object that was minted, and not what
    it says: a permit can be neither invented by hand, nor copied with a field changed, nor read from disk. That guards
    against honest mistakes in our own code, and is no sandbox against hostile code in this process.
    """

    action_id: str
    tool: str
    mode: Mode
    credential: str | None
    """A reference, never a value."""
    upstream_key: str
    """HMAC of the action id: the same on every retry (semantics.md I-10)."""
    fence: int
    intent: str
    """Hash of the intent line."""
    again: bool = False
    """Whether an earlier sending may have happened, so that no failure of this one means that nothing did (I-8)."""
    minted_at: float = field(default_factory=time.monotonic, init=False, repr=False, compare=False)
    """By the event loop's clock: so far it is known that nothing stops the action (T-10)."""

    def minted(self) -> Permit:
        """This permit, which counts from now on; called where the intent line is written, and nowhere else."""
        _MINTED.add(self)
        return self

    def vouched(self) -> bool:
        """Whether this process minted it."""
        return self in _MINTED


_MINTED: Final[WeakSet[Permit]] = WeakSet()
