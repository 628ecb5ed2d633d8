"""A whole gateway in the test's own event loop, for tests that turn the clock or run two gateways over one folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

from gateway import holds
from gateway.app import App
from gateway.model import Call, Carried, State
from gateway.store.sqlite import wall_clock
from gateway.store.transaction import Transaction
from gateway.tools.envelope import to_wire
from tests.living import PATIENCE, Answer, Place, cast

T = TypeVar("T")


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


class House:
    """One gateway over a place, and the hands of everybody around it."""

    def __init__(self, place: Place, clock: Clock) -> None:
        self.place = place
        self.clock = clock
        self.app = App(place.home, clock=clock)

    async def call(
        self, tool: str, args: Mapping[str, Any], *, as_: str = "bot", delivered: bool = True, **carried: Any
    ) -> Answer:
        """One call, and the note that its answer was handed over, unless `delivered` says that the client had gone."""
        principal = await self.app.api_keys.authenticate(self.place.keys[as_])
        assert principal is not None, "the caller's key does not open"
        outcome = await self.app.handle(Call(principal, tool, dict(args), Carried(**carried)))
        if delivered:
            await self.app.delivered([outcome.action_id])
        return to_wire(outcome)

    async def vote(
        self, action_id: str, who: str, verdict: Literal["approve", "deny"] = "approve", **given: str
    ) -> holds.Vote:
        """A human's word on a hold."""
        return await self.app.store.write(lambda tx: cast(tx, action_id, self.place.keys[who], verdict, **given))

    async def sweep(self) -> None:
        """One round of everything that time does, and the end of what it started."""
        await self.app.reconciler.sweep()
        await self.app.executor.drain(PATIENCE)

    async def state(self, action_id: str) -> State:
        """Where an action stands."""
        row = await self.app.store.read(lambda tx: tx.actions.get(action_id))
        assert row is not None
        return row.state

    async def until(self, condition: Callable[[Transaction], T], what: str) -> T:
        """The first true answer of `condition`, asked after every change."""
        async with asyncio.timeout(PATIENCE):
            while True:
                if answer := await self.app.store.read(condition):
                    return answer
                await asyncio.sleep(0.02)

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


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """Play a scenario to its end."""

    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())
