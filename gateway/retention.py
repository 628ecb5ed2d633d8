"""What was kept for long enough is dropped (semantics.md I-13): bodies first, and much later what is left of an action.

Its ledger lines stay.
"""

from __future__ import annotations

from typing import Final

from gateway.store.actions import ROUND
from gateway.store.protocol import Store

_ROUNDS: Final = 10
"""Rounds each time, at most: as many actions as a busy gateway makes meanwhile, and nobody waits long behind them."""
_TOMBSTONES_MS: Final = 90 * 86_400_000
"""How long it is known of a key that it was used, and by what."""


async def forget(store: Store, *, keep_bodies: int) -> None:
    """Drop what is over, in rounds of their own, so that no call waits long for one.

    Args:
        keep_bodies: milliseconds for which bodies are kept when their action has ended.

    Raises:
        LedgerUnavailable: the rest is dropped another time.
    """
    for forgotten in (
        lambda tx: tx.bodies.expire(tx.now - keep_bodies),
        # Never before its bodies: what is left of an action tells that they are over.
        lambda tx: tx.actions.forget(tx.now - max(_TOMBSTONES_MS, keep_bodies)),
    ):
        for _ in range(_ROUNDS):
            if await store.sweep(forgotten) < ROUND:
                break
