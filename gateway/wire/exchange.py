"""One request and its answer, as the protocol layer and the wire both see it, and whether its client is still there."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, cast

from starlette.types import Message, Receive

from gateway.model import Principal

if TYPE_CHECKING:
    from collections.abc import Coroutine

    from gateway.wire.sessions import Session

EXCHANGE: Final = "holdgate.exchange"
"""Under this name `scope["state"]` holds the `Exchange`."""


@dataclass(slots=True)
class Exchange:
    """One request and its answer, or one pipe and its answers."""

    principal: Principal
    answered: list[str] = field(default_factory=list)
    """Ids of the actions that the answer speaks of; the protocol layer adds them."""
    session: Session | None = None
    """The session or pipe it belongs to, where there is one."""


async def turns_of_the_loop() -> None:
    """Let a hang-up that has already reached the socket become an `http.disconnect`: read, close, wake the watcher."""
    for _ in range(4):
        await asyncio.sleep(0)


async def until_gone(receive: Receive) -> None:
    """Wait for the client, whose whole request was read, to hang up."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def still_there(receive: Receive) -> bool:
    """Whether the client, whose whole request was read, has not hung up (semantics.md I-15).

    Looks at what the server knows now, and waits for nothing.
    """
    await turns_of_the_loop()
    message = received_already(receive)
    return message is None or message["type"] != "http.disconnect"


def received_already(receive: Receive) -> Message | None:
    """What the server can say without waiting; None: nothing, and nothing is lost by having asked."""
    asked: Coroutine[Any, Any, Message] = receive()  # type: ignore[assignment] # every server's is an async function
    try:
        asked.send(None)
    except StopIteration as told:
        return cast("Message", told.value)
    finally:
        asked.close()
    return None
