"""A server on loopback that answers with exact bytes, or does not, and keeps a journal of what arrived."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request as it stood on the wire."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    raw: bytes


Act: TypeAlias = Callable[[asyncio.StreamWriter], Awaitable[bool]]
"""What to do once a request was read; True keeps the connection."""


def reply(status: int = 200, body: bytes | str = b"{}", **headers: str) -> Act:
    """A whole, well-formed answer; header names with _ for -."""
    content = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return say(f"HTTP/1.1 {status} x\r\ncontent-length: {len(content)}\r\n{lines}\r\n".encode() + content, keep=True)


def say(raw: bytes, *, keep: bool = False) -> Act:
    """Exactly these bytes, then close unless told otherwise."""

    async def act(writer: asyncio.StreamWriter) -> bool:
        writer.write(raw)
        await writer.drain()
        return keep

    return act


async def close(writer: asyncio.StreamWriter) -> bool:
    """Close without an answer."""
    return False


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


@dataclass
class Wire:
    """The server: plays its acts one request after the other, the last one again and again."""

    acts: list[Act]
    port: int = 0
    connections: int = 0
    arrivals: list[Arrival] = field(default_factory=list)
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    on_accept: Act | None = None
    """Done before anything is read."""

    @property
    def writes(self) -> list[Arrival]:
        """The arrivals that may change something."""
        return [arrival for arrival in self.arrivals if arrival.method != "GET"]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            if self.on_accept is not None:
                await self.on_accept(writer)
                return
            while arrival := await _read(reader):
                self.arrivals.append(arrival)
                self.arrived.set()
                act = self.acts.pop(0) if len(self.acts) > 1 else self.acts[0]
                if not await act(writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()


async def _read(reader: asyncio.StreamReader) -> Arrival | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Arrival(method, target, headers, body, head + body)


@asynccontextmanager
async def wire(*acts: Act, on_accept: Act | None = None, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wire]:
    """A running server; `acts` are one `reply()` by default."""
    served: set[asyncio.Task[None]] = set()
    upstream = Wire(list(acts) or [reply()], on_accept=on_accept)

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(upstream.serve(reader, writer))
        served.add(task)
        task.add_done_callback(served.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", 0, ssl=tls)
    upstream.port = server.sockets[0].getsockname()[1]
    try:
        yield upstream
    finally:
        server.close()
        for task in list(served):
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)
