"""One exchange with the SDK's app, as the front watches it: whose answer arrived, and when to let go (I-15)."""

from __future__ import annotations

import asyncio

from starlette.types import Message, Receive, Send

from gateway.wire.exchange import Exchange, turns_of_the_loop, until_gone


class Delivery:
    """Replays the body, and knows which answers were handed to a client that was still there.

    `send` of the HTTP server says nothing when the client has gone, so only `http.disconnect` counts. The check
    stands before the chunk that carries an answer: a client may well close as soon as it has read it.
    What no server can see is a client that dies while the bytes are on their way.

    Attributes:
        handed_over: ids of the actions whose answers were.
    """

    def __init__(self, receive: Receive, send: Send, exchange: Exchange, body: bytes) -> None:
        self.handed_over: list[str] = []
        self._receive = receive
        self._send = send
        self._exchange = exchange
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._hung_up = self._unfinished = False

    def hang_up(self) -> None:
        """Tell the app that the client has gone, which is still there."""
        self._hung_up = True
        self._gone.set()

    async def finish(self) -> None:
        """End in order what the app was made to leave."""
        if self._hung_up and self._unfinished:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def until_gone(self) -> None:
        """Wait for the client to hang up, and let the app know."""
        await until_gone(self._receive)
        self._gone.set()

    async def receive(self) -> Message:
        """For the app: the body, and then the end."""
        if self._body is not None:
            body, self._body = self._body, None
            return {"type": "http.request", "body": body, "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """For the app: on to the client."""
        # An action's id is random and stands in its answer, so the chunk that names it is the one that carries it.
        body = message.get("body", b"")
        carried = [action_id for action_id in self._exchange.answered if action_id.encode() in body]
        if carried:
            await turns_of_the_loop()
        self._unfinished = message.get("more_body", message["type"] == "http.response.start")
        if message["type"] == "http.response.start":
            # Whether the connection stays is for the server to say, that keeps or closes it, and it says so.
            message = {**message, "headers": [field for field in message["headers"] if field[0] != b"connection"]}
        await self._send(message)
        if carried and not self._gone.is_set():
            self.handed_over += [action_id for action_id in carried if action_id not in self.handed_over]
