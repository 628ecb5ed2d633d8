"""An HTTP/1.1 server on loopback whose every byte a test decides: it answers, breaks off, or stays silent.

It runs in the event loop of the test, so that what a test does and what the server does have one order. It reads
requests as the gateway's engine sends them: a head, and a body of a declared length.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeAlias

HOST = "127.0.0.1"


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
Answering: TypeAlias = Callable[[Arrival], Awaitable[Act]]


def reply(status: int = 200, body: bytes | str = b"{}", headers: Mapping[str, str] | None = None) -> Act:
    """A whole, well-formed answer."""
    content = body.encode() if isinstance(body, str) else body
    lines = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    head = f"HTTP/1.1 {status} x\r\ncontent-length: {len(content)}\r\n{lines}\r\n"
    return say(head.encode() + content, keep=True)


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


@asynccontextmanager
async def listening(
    answer: Answering,
    *,
    port: int = 0,
    on_accept: Callable[[asyncio.StreamWriter], Awaitable[bool]] | None = None,
    tls: ssl.SSLContext | None = None,
) -> AsyncIterator[int]:
    """Serve until the end of the block; yields the port.

    Args:
        answer: decides, for each request, what is done about it.
        port: 0 takes a free one.
        on_accept: done with each connection before anything is read; False closes it.
    """
    served: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if on_accept is not None and not await on_accept(writer):
                return
            while arrival := await _read(reader):
                act = await answer(arrival)
                if not await act(writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(serve(reader, writer))
        served.add(task)
        task.add_done_callback(served.discard)

    server = await asyncio.start_server(accept, HOST, port, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in list(served):
            task.cancel()
        await asyncio.gather(*served, return_exceptions=True)


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
