"""A load of well-formed modern `tools/call` requests over kept-alive connections; every answer is checked."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import cast

_VERSION = "2026-07-28"


@dataclass(frozen=True)
class Case:
    """One kind of call."""

    name: str
    tool: str | None
    """None: the list of tools."""
    arguments: Callable[[int], dict[str, object]]
    expected: bytes
    """Stands in every good answer."""


READ = Case("read", "billing_lookup_invoice", lambda number: {"invoice": "inv_1001"}, b'"balance_cents"')
WRITE = Case(
    "write",
    "billing_refund",
    # Another invoice each time, so that no call is a repeat of another.
    lambda number: {"invoice": f"inv_{number % 10**11}", "cents": 1, "cause": "damaged"},
    b'"rfd_0001',
)
LIST = Case("list", None, lambda number: {}, b'"billing_refund"')


def request(case: Case, number: int, port: int, token: str | None) -> bytes:
    """One request, ready to send."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": _VERSION,
        "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    called = {"name": case.tool, "arguments": case.arguments(number)} if case.tool is not None else {}
    method = "tools/call" if called else "tools/list"
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": method, "params": {**called, "_meta": meta}}).encode()
    head = (
        f"POST /mcp HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-type: application/json\r\n"
        f"accept: application/json, text/event-stream\r\nmcp-protocol-version: {_VERSION}\r\n"
        f"mcp-method: {method}\r\nholdgate-task: bench\r\n"
    )
    if case.tool is not None:
        head += f"mcp-name: {case.tool}\r\n"
    if token is not None:
        head += f"authorization: Bearer {token}\r\n"
    return head.encode() + b"content-length: %d\r\n\r\n%s" % (len(body), body)


class _Client(asyncio.Protocol):
    def __init__(self) -> None:
        self._buffer = bytearray()
        self._needed: int | None = None
        self._answer: asyncio.Future[bytes] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's, and write all the same.
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, raw: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(raw)
        return await self._answer

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._needed is None:
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            head = bytes(self._buffer[:end]).lower()
            self._needed = end + 4 + int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0])
        if len(self._buffer) >= self._needed:
            answer, self._buffer, self._needed = bytes(self._buffer), bytearray(), None
            assert self._answer is not None
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(ConnectionError("the server closed the connection"))

    def close(self) -> None:
        self._transport.close()


@dataclass(frozen=True)
class Figures:
    """One round."""

    seconds: float
    latencies: list[float]

    @property
    def per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def percentile(self, part: float) -> float:
        """Milliseconds."""
        ordered = sorted(self.latencies)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)] * 1000


async def drive(port: int, token: str | None, case: Case, numbers: Iterator[int], count: int, width: int) -> Figures:
    """`count` calls over `width` connections, each asking again as soon as it is answered.

    Raises:
        AssertionError: an answer is not the expected one.
    """
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_connection(_Client, "127.0.0.1", port))[1] for _ in range(width)]
    left = iter(range(count))
    latencies: list[float] = []

    async def ask(client: _Client) -> None:
        for _ in left:
            raw = request(case, next(numbers), port, token)
            started = time.perf_counter()
            answer = await client.ask(raw)
            latencies.append(time.perf_counter() - started)
            assert answer.startswith(b"HTTP/1.1 200"), answer[:400]
            assert case.expected in answer.replace(b'\\"', b'"').replace(b'": "', b'":"'), answer[:800]

    started = time.perf_counter()
    await asyncio.gather(*(ask(client) for client in clients))
    seconds = time.perf_counter() - started
    for client in clients:
        client.close()
    return Figures(seconds, latencies)
