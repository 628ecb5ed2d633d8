"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may leave unfinished before anybody has looked at it.

uvicorn waits for ever for the head of a request, takes one of any size, and lets a client keep a connection after its
answer by sending on. Each costs a caller without a key nothing, and this process a socket or its memory.

Nor does it see a client hang up that has sent a second request before the first one's answer: the first would be served
for ever, and its answer count as handed over. No MCP client does so: what comes before an answer is not read, and the
connection ends with it.

It also writes the head of an answer by itself, and each write is a call into the system, which costs as much as reading
the request did: here the head goes out with what follows it.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class _AnswerTransport:
    """What an answer is written to: its head waits for what is written next in the same turn of the loop."""

    __slots__ = ("_first", "_loop", "_transport")

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport = transport
        self._loop = loop
        # None before an answer's first write, and empty when that has gone.
        self._first: bytes | None = None

    def begin(self) -> None:
        """What is written next is the first of an answer."""
        self.flush()
        self._first = None

    def write(self, data: bytes) -> None:
        if self._first is None:
            self._first = data
            self._loop.call_soon(self.flush)
        elif self._first:
            first, self._first = self._first, b""
            self._transport.writelines((first, data))
        else:
            self._transport.write(data)

    def flush(self) -> None:
        """Let what waits wait no longer."""
        if self._first:
            first, self._first = self._first, b""
            if not self._transport.is_closing():
                self._transport.write(first)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def close(self) -> None:
        self.flush()
        self._transport.close()


class BoundedHttp(HttpToolsProtocol):
    """One connection."""

    head_seconds: ClassVar[float] = 10.0
    """For a request's head to arrive whole: from the connection, or from the first byte after an answer."""
    head_bytes: ClassVar[int] = 65_536
    """For all of a request that is not its body: head, framing of chunks, trailers. One read more may come in."""

    _answer: _AnswerTransport
    _overdue: asyncio.TimerHandle | None = None
    _beside_body = 0
    _in_head = False
    _deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._answer = _AnswerTransport(transport, self.loop)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._beside_body += len(data)
        if not self._deaf:
            super().data_received(data)
        if self.transport.is_closing():
            return
        if self._beside_body > self.head_bytes:
            self._refuse()
        elif self._overdue is None and self.timeout_keep_alive_task is None and not self._answering():
            self._expect_head()

    def on_message_begin(self) -> None:
        if self._answering():
            raise ValueError("a request before the answer to the last one")  # so that the parser goes no further
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._in_head = False
        self._expect_nothing()
        super().on_headers_complete()
        self._answer.begin()
        self.cycle.transport = self._answer  # type: ignore[assignment] # it is asked for nothing else

    def on_body(self, body: bytes) -> None:
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._beside_body = 0
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        if self._answering() and not self.cycle.more_body:
            self._deaf, self.cycle.keep_alive = True, False
        else:
            self._answer.flush()
            super().send_400_response(msg)

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_head(self) -> None:
        self._overdue = self.loop.call_later(self.head_seconds, self._give_up)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        self._overdue = None
        if not self._answering():
            self.transport.close()

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _refuse(self) -> None:
        if self._in_head and not self._answering():
            self.send_400_response("The head of the request is too large.")
        else:
            self.transport.abort()
