"""A door to a loopback upstream, with a real broker behind it, for tests of what goes out."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from gateway.connector import Connector, Input, Output, Tool
from gateway.errors import CredentialUnavailable, UpstreamError
from gateway.model import Mode, Permit, Risk
from gateway.outbound.door import Door, Engine
from gateway.outbound.upstream import GatedUpstream
from gateway.redact import RedactingFilter, Redactor
from vault.broker import Broker, Reading
from vault.reference import Reference
from vault.secret import Secret

CANARY = "cnry/Kx7+vQ~2&Zs<w9'Lp4%T"
REFERENCE = "kv/shop/orders#token"


class Nothing(Input):
    """No arguments."""


class Anything(Output):
    """No declared fields."""


@dataclass
class Safe:
    """A vault of one value that can be rotated or emptied."""

    value: str | None = CANARY
    reads: int = 0

    async def read(self, reference: Reference) -> Reading:
        self.reads += 1
        if self.value is None:
            raise CredentialUnavailable(f"There is nothing under {reference}. Store it.")
        return Reading(Secret(self.value), str(self.reads))

    async def check(self) -> str:
        return "It is open."

    async def close(self) -> None: ...


@dataclass
class Doorway:
    """A door, and one read tool and one write tool of a connector behind it."""

    door: Door
    safe: Safe
    broker: Broker
    redactor: Redactor
    connector: Connector
    reading: Tool
    writing: Tool
    logged: list[str] = field(default_factory=list)

    def permit(self, tool: Tool, **changed: Any) -> Permit:
        """A sealed permit for `tool`, as admission mints it."""
        fields: dict[str, Any] = {
            "action_id": "act_" + "0" * 32,
            "tool": tool.name,
            "mode": Mode.RUN,
            "reads_only": not tool.writes,
            "credential": self.connector.credential,
            "upstream_key": "key-of-this-action",
            "fence": 1,
            "intent": "0" * 64,
        }
        return Permit(**{**fields, **changed}).sealed()

    def write(self, *, seconds: float = 5.0, **changed: Any) -> GatedUpstream:
        """The upstream of one admitted write."""
        return self._open(self.writing, seconds, changed)

    def read(self, *, seconds: float = 5.0, **changed: Any) -> GatedUpstream:
        """The upstream of one admitted read."""
        return self._open(self.reading, seconds, changed)

    def _open(self, tool: Tool, seconds: float, changed: dict[str, Any]) -> GatedUpstream:
        deadline = asyncio.get_running_loop().time() + seconds
        return self.door.open(tool, self.permit(tool, **changed), deadline=deadline)


@asynccontextmanager
async def doorway(
    port: int,
    *,
    base_url: str | None = None,
    engine: Engine | None = None,
    safe: Safe | None = None,
    credential: str | None = REFERENCE,
    internal: bool = True,
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
    safe = safe or Safe()
    broker = Broker(safe, on_secret=redactor.learn)
    at = Doorway(Door(broker, redactor, engine=engine), safe, broker, redactor, shop, look, order)
    handler = _Kept(at.logged)
    handler.addFilter(RedactingFilter(redactor))
    root, level = logging.getLogger(), logging.getLogger().level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield at
    finally:
        root.removeHandler(handler)
        root.setLevel(level)
        await at.door.close()
        await broker.close()


class _Kept(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(f"{self.format(record)} {record.__dict__}")


async def failure(doing: Awaitable[Any]) -> UpstreamError:
    """The upstream error that `doing` ends with."""
    with pytest.raises(UpstreamError) as caught:
        await doing
    return caught.value
