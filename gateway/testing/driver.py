"""A whole gateway in the event loop of a test, and the hands of everybody around it: callers, approvers, and time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeVar

from gateway import holds
from gateway.app import App
from gateway.identity.api_keys import check
from gateway.model import Call
from gateway.outcome import Outcome, State
from gateway.store.transaction import Transaction
from gateway.testing.clock import Clock

T = TypeVar("T")

PATIENCE: Final = 20.0
"""Seconds after which a condition that was waited for counts as never coming."""


class Driver:
    """Drives one gateway: the real pipeline, policy, store and door. Whoever makes one sets `app` and `clock`."""

    app: App
    """The gateway itself."""
    clock: Clock
    """Its time."""

    async def ask(
        self,
        key: str,
        tool: str,
        arguments: Mapping[str, Any],
        *,
        delivered: bool = True,
        **call: Any,
    ) -> Outcome:
        """One call with an API key, and the note that its answer was handed over, unless the client had gone.

        Args:
            tool: its name, or a prompt's, or the URI of a resource.
            call: further fields of the `Call`.

        Raises:
            UnknownTool: there is none, or none that this caller may see.
        """
        principal = await self.app.api_keys.authenticate(key)
        assert principal is not None, "the caller's key does not open"
        outcome = await self.app.handle(Call(principal, tool, dict(arguments), **call))
        if delivered:
            await self.app.delivered([outcome.action_id])
        return outcome

    async def advance(self, seconds: float) -> None:
        """Let so much of the store's time pass, and everything happen that time does."""
        self.clock.turn(seconds)
        await self.sweep()

    async def sweep(self) -> None:
        """One round of everything that time does, and the end of what it started."""
        await self.app.reconciler.sweep()
        await self.app.executor.drain(PATIENCE)

    async def state(self, action_id: str) -> State:
        """Where an action stands."""
        row = await self.app.store.read(lambda tx: tx.actions.get(action_id))
        assert row is not None, f"there is no action {action_id}"
        return row.state

    async def ledger(self, *, event: str | None = None, action_id: str | None = None) -> list[dict[str, Any]]:
        """The ledger's lines, oldest first; all, or those of one event or action."""
        return await self.app.store.read(
            lambda tx: [json.loads(line.text) for line in tx.ledger.lines(event=event, action=action_id)]
        )

    async def until(self, condition: Callable[[Transaction], T], what: str) -> T:
        """The first true answer of `condition`, asked after every change."""
        try:
            async with asyncio.timeout(PATIENCE):
                while True:
                    if answer := await self.app.store.read(condition):
                        return answer
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE:g} s in vain for {what}") from None


def cast(
    tx: Transaction, action_id: str, key: str, verdict: Literal["approve", "deny"] = "approve", shown: str | None = None
) -> holds.Vote:
    """Vote as the owner of an API key, on the digest that stands, or on `shown`."""
    hold, voter = tx.holds.get(action_id), check(tx, key)
    assert hold is not None, f"{action_id} is not held"
    assert voter is not None, "the voter's key does not open"
    return holds.vote(tx, action_id, voter, verdict, hold.digest if shown is None else shown)
