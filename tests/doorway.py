"""A door to a loopback upstream, with a real broker behind it, for tests of what goes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from gateway.connector import Connector, Input, Output, Tool
from gateway.errors import UpstreamError
from gateway.model import Mode, Risk
from gateway.outbound.door import Door, Stopped
from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.exchange import Response
from gateway.outbound.lane import EngineFor
from gateway.outbound.upstream import GatedUpstream
from gateway.permit import Permit
from gateway.redact import Redactor
from gateway.testing.secrecy import MemoryVault, captured
from vault.broker import Broker

CANARY = "cnry/Kx7+vQ~2&Zs<w9'Lp4%T"
REFERENCE = "kv/shop/orders#token"


class Nothing(Input):
    """No arguments."""


class Anything(Output):
    """No declared fields."""


def soon(seconds: float = 5.0) -> float:
    """A moment this far ahead, on the event loop's clock."""
    return asyncio.get_running_loop().time() + seconds


async def sent(
    engine: AiohttpEngine, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes, *, deadline: float
) -> Response:
    """What one request is answered with, by an engine that no door stands before."""
    with await engine.connect(deadline=deadline) as exchange:
        return await engine.send(exchange, method, path, headers, body, deadline=deadline)


@dataclass
class Doorway:
    """A door, and one read tool and one write tool of a connector behind it."""

    door: Door
    vault: MemoryVault
    broker: Broker
    redactor: Redactor
    connector: Connector
    reading: Tool
    writing: Tool
    logged: list[str]

    def permit(self, tool: Tool, **changed: Any) -> Permit:
        """A permit for `tool`, as admission mints it."""
        fields: dict[str, Any] = {
            "action_id": "act_" + "0" * 32,
            "tool": tool.name,
            "mode": Mode.RUN,
            "credential": self.connector.credential,
            "upstream_key": "key-of-this-action",
            "fence": 1,
            "intent": "0" * 64,
        }
        return Permit(**{**fields, **changed}).minted()

    def write(self, *, seconds: float = 5.0, **changed: Any) -> GatedUpstream:
        """The upstream of one admitted write."""
        return self._open(self.writing, seconds, changed)

    def read(self, *, seconds: float = 5.0, **changed: Any) -> GatedUpstream:
        """The upstream of one admitted read."""
        return self._open(self.reading, seconds, changed)

    def _open(self, tool: Tool, seconds: float, changed: dict[str, Any]) -> GatedUpstream:
        return self.door.open(tool, self.permit(tool, **changed), deadline=soon(seconds))


async def nothing_is(permit: Permit, connector: str) -> None:
    """Nobody has stopped anything."""


@asynccontextmanager
async def doorway(
    port: int,
    *,
    base_url: str | None = None,
    engine: EngineFor | None = None,
    vault: MemoryVault | None = None,
    credential: str | None = REFERENCE,
    internal: bool = True,
    stopped: Stopped = nothing_is,
    **connector: Any,
) -> AsyncIterator[Doorway]:
    """A door to `http://127.0.0.1:port/v1`, unless told otherwise."""
    shop = Connector(
        "shop",
        base_url=base_url or f"http://127.0.0.1:{port}/v1",
        credential=credential,
        internal=internal,
        **connector,
    )

    @shop.read()
    async def look(args: Nothing, upstream: GatedUpstream) -> Anything:
        """Look at an order."""
        return Anything.model_validate(await upstream.get("/orders"))

    @shop.write(risk=Risk.LOW)
    async def order(args: Nothing, upstream: GatedUpstream) -> Anything:
        """Place an order."""
        return Anything.model_validate(await upstream.post("/orders"))

    redactor = Redactor()
    vault = vault or MemoryVault({REFERENCE: CANARY})
    broker = Broker(vault, on_secret=redactor.learn)
    with captured(redactor, libraries=logging.DEBUG) as logged:
        at = Doorway(
            Door(broker, redactor, stopped=stopped, engine=engine),
            vault,
            broker,
            redactor,
            shop,
            look,
            order,
            logged,
        )
        try:
            yield at
        finally:
            await at.door.close()
            await broker.close()


async def failure(doing: Awaitable[Any]) -> UpstreamError:
    """The upstream error that `doing` ends with."""
    with pytest.raises(UpstreamError) as caught:
        await doing
    return caught.value
