"""HTTP/1.1 as uvicorn speaks it, with bounds on what a client may leave unfinished before anybody has looked at it.

uvicorn waits for ever for the head of a request, takes one of any size, and lets a client keep a connection after its
answer by sending on. Each costs a caller without a key nothing, and this process a socket or its memory.

Nor does it see a client hang up that has sent a second request before the first one's answer: the first would be served
for ever, and its answer count as handed over. No MCP client does so: what comes before an answer is not read, and the
connection ends with it.

It drops the body of a request that offers another protocol, as Java's client does with HTTP/2, and reads on in it as if
another request stood there. Such an offer may be ignored (RFC 9110, 7.8), and here it is: the request is served as any.

An answer of unknown length it sends in chunks, which HTTP/1.0 does not know: here it ends with its connection. Nor is
a client of HTTP/1.0 told to go on, which that does not know either.

It takes trailers for headers if they come soon enough, and what was to be checked on the way may have been: here they
are dropped. It lets a connection live on whose client was answered before it was told to send the body, and takes what
comes next for that body, which may be a request (RFC 9110, 10.1.1): here such a connection ends with the answer.

It also writes the head of an answer by itself, and each write is a call into the system, which costs as much as reading
the request did: here the head goes out with what follows it.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from gateway.wire.http_answers import failure


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


class _Unchunked:
    """The sending side of a request of HTTP/1.0: an answer whose length is not said ends where the connection does."""

    __slots__ = ("_cycle", "_send")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send

    async def send(self, message: Any) -> None:
        # Neither chunks nor a length of the whole: each part is as long as it is.
        self._cycle.chunked_encoding = False
        self._cycle.expected_content_length = len(message.get("body", b""))
        await self._send(message)


class _Unasked:
    """The sending side of a request whose client waits to be told to go on, and may never send the body otherwise."""

    __slots__ = ("_cycle", "_send")

    def __init__(self, cycle: RequestResponseCycle) -> None:
        self._cycle = cycle
        self._send = cycle.send

    async def send(self, message: Any) -> None:
        if self._cycle.waiting_for_100_continue:
            self._cycle.keep_alive = False
        await self._send(message)


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
    _in_body = False
    _deaf = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self._answer = _AnswerTransport(transport, self.loop)
        self._expect_head()

    def data_received(self, data: bytes) -> None:
        self._beside_body += len(data)
        if not self._deaf:
            self._unset_keepalive_if_required()
            self._read(data)
        if self.transport.is_closing():
            return
        if self._beside_body > self.head_bytes:
            self._refuse_size()
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
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is before:
            return  # no request has begun: see `_decline`
        self._in_body = True
        self.headers = []  # for the trailers, which nobody is told of
        self._answer.begin()
        self.cycle.transport = self._answer  # type: ignore[assignment] # it is asked for nothing else
        if self.scope["http_version"] != "1.1":
            self.cycle.keep_alive = self.cycle.waiting_for_100_continue = False
            self.cycle.send = _Unchunked(self.cycle).send  # type: ignore[method-assign] # of this one request
        elif self.expect_100_continue:
            self.cycle.send = _Unasked(self.cycle).send  # type: ignore[method-assign] # of this one request

    def on_body(self, body: bytes) -> None:
        self._beside_body -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._in_body = False
        self._beside_body = 0
        super().on_message_complete()

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

    def _read(self, data: bytes) -> None:
        try:
            self.parser.feed_data(data)
        except HttpParserUpgrade as offer:
            self._decline(data[offer.args[0] :])
        except HttpParserError as broken:
            if self._answering() and not self.cycle.more_body:
                self._deaf, self.cycle.keep_alive = True, False
            elif self._in_body and self.cycle.response_started:
                self._answer.close()  # another answer would be taken for that to the next request
            else:
                why = "" if isinstance(broken, HttpParserCallbackError) else f": {broken}"
                self._turn_away(400, f"This is no well-formed HTTP/1.1 request{why}.")

    def _should_upgrade(self) -> bool:
        """Asked where another protocol is offered: True keeps such a request from being served without its body."""
        return True

    def _decline(self, rest: bytes) -> None:
        """Serve a request as if it had offered no other protocol.

        The parser has ended it with its head, whatever the head says of a body. So another one reads what the first
        made of the head, without the offer, and then the `rest`: where the request ends is said by nobody else.
        """
        method = self.parser.get_method()
        if method == b"CONNECT":
            self._turn_away(400, "There is no CONNECT here; send MCP messages with POST.")
            return
        version = self.parser.get_http_version().encode()
        lines = [b"%b: %b" % field for field in self.headers if field[0] != b"upgrade"]
        head = b"\r\n".join((b"%b %b HTTP/%b" % (method, self.url, version), *lines, b"", b""))
        self.parser = HttpRequestParser(self)
        self._beside_body = len(head) + len(rest)
        self._read(head + rest)

    def _refuse_size(self) -> None:
        if self._in_head and not self._answering():
            self._turn_away(431, f"The head of the request is larger than {self.head_bytes} bytes.")
        else:
            self.transport.abort()

    def _turn_away(self, status: int, message: str) -> None:
        """Answer what the application does not hear of, and close."""
        answer = failure(status, message)
        fields = (*self.server_state.default_headers, *answer.headers, (b"connection", b"close"))
        self._answer.flush()
        self.transport.write(
            b"".join((STATUS_LINE[status], *(b"%b: %b\r\n" % field for field in fields), b"\r\n", answer.body))
        )
        self.transport.close()
