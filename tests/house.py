"""A whole gateway in the test's own event loop, for tests that turn the clock or run two gateways over one folder."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal

from gateway import holds
from gateway.app import App
from gateway.model import Carried
from gateway.testing.clock import Clock
from gateway.testing.driver import Driver, cast
from gateway.tools.envelope import to_wire
from tests.gate import Answer
from tests.place import Place

__all__ = ["Clock", "House", "house"]


class House(Driver):
    """One gateway over a place, and the hands of everybody around it."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self.app = App(place.home, clock=clock)

    async def call(
        self, tool: str, args: Mapping[str, Any], *, as_: str = "bot", delivered: bool = True, **carried: Any
    ) -> Answer:
        """One call, and the note that its answer was handed over, unless `delivered` says that the client had gone."""
        return to_wire(
            await self.ask(self.place.keys[as_], tool, args, delivered=delivered, carried=Carried(**carried))
        )

    async def vote(
        self, action_id: str, who: str, verdict: Literal["approve", "deny"] = "approve", **given: str
    ) -> holds.Vote:
        """A human's word on a hold."""
        return await self.app.store.write(lambda tx: cast(tx, action_id, self.place.keys[who], verdict, **given))

    async def ended(self, action_id: str) -> Answer:
        """What the agent is told once an action has come to an end."""
        await self.until(lambda tx: (row := tx.actions.get(action_id)) and row.state.terminal, f"{action_id} to end")
        return await self.call("get_action", {"action_id": action_id})


@asynccontextmanager
async def house(place: Place, clock: Clock | None = None) -> AsyncIterator[House]:
    """A gateway over `place` until the end of the block."""
    built = House(place, clock or Clock())
    await built.app.start()
    try:
        yield built
    finally:
        await built.app.stop()
