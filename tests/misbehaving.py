"""A server on loopback that plays a script of exact bytes, and keeps a journal of what arrived."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from gateway.testing.loopback import Act, Arrival, close, listening, reply, say

__all__ = ["Act", "Arrival", "Wire", "close", "hang", "reply", "reset", "say", "say_and_hang", "wire"]


@dataclass
class Wire:
    """The script: its acts one request after the other, the last one again and again."""

    acts: list[Act]
    on_accept: Act | None = None
    """Done in place of reading."""
    port: int = 0
    connections: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def writes(self) -> list[Arrival]:
        """The arrivals that may change something."""
        return [arrival for arrival in self.arrivals if arrival.method != "GET"]

    async def accepted(self, writer: asyncio.StreamWriter) -> bool:
        """Count a connection; False where nothing is read from it."""
        self.connections += 1
        if self.on_accept is not None:
            await self.on_accept(writer)
        return self.on_accept is None

    async def next_act(self, arrival: Arrival) -> Act:
        """What this request meets."""
        self.arrivals.append(arrival)
        self.arrived.set()
        return self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]


async def reset(writer: asyncio.StreamWriter) -> bool:
    """Reset the connection without an answer."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def hang(writer: asyncio.StreamWriter) -> bool:
    """Never answer."""
    await asyncio.Event().wait()
    return False


def say_and_hang(raw: bytes) -> Act:
    """These bytes, and then nothing."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(raw)
        return await hang(writer)

    return act


@asynccontextmanager
async def wire(*acts: Act, on_accept: Act | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A running server; `acts` are one `reply()` by default."""
    upstream = Wire(list(acts) or [reply()], on_accept)
    async with listening(upstream.next_act, on_accept=upstream.accepted, tls=tls) as port:
        upstream.port = port
        yield upstream
