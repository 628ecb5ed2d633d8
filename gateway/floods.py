"""Refusals for going too fast: the first has its line at once, those that follow it one together (semantics.md R-9).

A line each would let a caller who is refused already grow the ledger, and keep the disk busy, as fast as it can ask.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.errors import Refusal
from gateway.ledger_line import Event
from gateway.model import Call
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction

TOGETHER_MS: Final = 10_000
"""At least so long refusals are counted before they are told."""


@dataclass(slots=True)
class _Flood:
    facts: dict[str, Any]
    """Of the first refusal's line."""
    since: int
    untold: Counter[str | None] = field(default_factory=Counter)
    """Refused since, by tool."""


class Floods:
    """Refusals that go on, by caller and rate. What was counted and not told yet dies with its process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._floods: dict[tuple[str, ...], _Flood] = {}

    def join(self, call: Call, refusal: Refusal, tool: str | None) -> str | None:
        """Count a refusal that will be told with others; None: it wants a line of its own.

        Returns:
            The id under which they are told. It is one for all tools, or it would tell a hidden one from none (T-5).
        """
        flood = self._floods.get(_key(call, refusal)) if refusal.code == "rate_limited" else None
        if flood is None:
            return None
        flood.untold[tool] += 1
        return str(flood.facts["action"])

    def begin(self, call: Call, refusal: Refusal, facts: dict[str, Any]) -> None:
        """A refusal has its line, which says `facts`; the like of it need none."""
        if refusal.code == "rate_limited":
            of_any_task = {**facts, "task": None, "task_source": None}
            self._floods.setdefault(_key(call, refusal), _Flood(of_any_task, self._store.now()))

    async def tell(self, *, all_of_them: bool = False) -> None:
        """Write down how many there were, where they have gone on for long enough; where there were none, it is over.

        Raises:
            LedgerUnavailable: nothing is told, and counting goes on.
        """
        now = self._store.now()
        due = {key: flood for key, flood in self._floods.items() if all_of_them or now - flood.since >= TOGETHER_MS}
        told = {key: flood.untold.copy() for key, flood in due.items() if flood.untold}
        if told:

            def tell(tx: Transaction) -> None:
                for key, tools in told.items():
                    for tool, times in tools.items():
                        tx.ledger.append(Event.REFUSED, **{**due[key].facts, "tool": tool, "times": times})

            await self._store.write(tell)
        for key, flood in due.items():
            if key in told:
                flood.untold -= told[key]
                flood.since = now
            else:
                del self._floods[key]


def _key(call: Call, refusal: Refusal) -> tuple[str, ...]:
    """Nothing in it is the caller's own choice, or there could be as many as there are calls."""
    return (call.principal.tenant, call.principal.id, call.principal.key_id, *refusal.rules)
