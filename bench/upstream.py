"""A system of record that costs next to nothing: canned Acme answers, so that what stands before it is measured."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from typing import cast

INVOICE = {
    "id": "inv_1001",
    "order": "ord_1001",
    "customer": "cus_ada",
    "status": "paid",
    "total_cents": 6400,
    "refunded_cents": 0,
    "balance_cents": 6400,
    "currency": "USD",
    "internal_note": "not for agents",
}
REFUND = {"id": "rfd_0001", "invoice": "inv_1001", "cents": 1, "status": "pending", "ledger_account": "4711"}


def _answer(body: dict[str, object]) -> bytes:
    raw = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s" % (len(raw), raw)


class Upstream(asyncio.Protocol):
    """One connection: every GET is an invoice, every POST a refund."""

    read, written = _answer(INVOICE), _answer(REFUND)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are none of asyncio's, and write all the same.
        self._transport = cast("asyncio.Transport", transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].lower()
            length = int(head.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in head else 0
            if len(self._buffer) < end + 4 + length:
                return
            self._buffer = self._buffer[end + 4 + length :]
            self._transport.write(self.read if head.startswith(b"get") else self.written)


async def serve() -> None:
    """Until the parent closes our standard input."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    loop = asyncio.get_running_loop()
    await loop.create_server(Upstream, sock=listener)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    import uvloop

    uvloop.run(serve())
