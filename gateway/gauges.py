"""Metrics that are no fact of one call: what waits, and the new ledger lines. Read now and then, on no call's way."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gateway.errors import LedgerUnavailable
from gateway.outcome import State
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics
from gateway.telemetry.metrics import Waiting

log = logging.getLogger("holdgate.gauges")

_EVERY_SECONDS: Final = 2.0


class Gauges:
    """Reads the store for them. Several processes over one data folder all report the same."""

    def __init__(self, store: SqliteStore) -> None:
        self._store = store
        self._told: int | None = None
        """Sequence number of the last ledger line that was counted."""

    async def run(self) -> None:
        """Until cancelled. While the store is down the gauges keep their last values."""
        while True:
            try:
                await self.tell()
            except LedgerUnavailable as down:
                log.debug("not_told", extra={"why": str(down)})
            await asyncio.sleep(_EVERY_SECONDS)

    async def tell(self) -> None:
        """One reading.

        Raises:
            LedgerUnavailable: the store cannot be read.
        """
        await self._store.read(self._look)

    def _look(self, tx: Transaction) -> None:
        holds = tx.holds.waiting()
        count, since = tx.actions.unknown()
        metrics.waiting(
            [_waiting(str(state), count, since, tx.now) for state, (count, since) in holds.items()],
            _waiting(str(State.UNKNOWN), count, since, tx.now),
            self._store.depth,
        )
        seq, _ = tx.ledger.head()
        if self._told is not None:
            for event, lines in tx.ledger.counted(after=self._told, upto=seq).items():
                metrics.wrote_lines(event, lines)
        self._told = seq


def _waiting(state: str, count: int, since: int, now: int) -> Waiting:
    return Waiting(state, count, max(0, now - since) / 1000 if count else 0.0)
