"""Plain requests of 2026-07-28, answered without the SDK's app (docs/decisions/0009-a-front-for-plain-calls.md).

They are the two that agents make all day: a call of a tool, and the list of tools.

The app makes a task group, a memory stream and several validations of each message, and that costs as much as all of
our governance. A call that is exactly what the protocol says and asks for nothing special needs none of it. Whatever
else arrives is the app's: this module refuses nothing, except names of tools, and understands less rather than more.
It stands behind the front's checks, as the app does, and takes the SDK's own rules for what a well-formed call is.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, Final

from mcp.shared.inbound import InboundModernRoute, classify_inbound_request
from mcp_types import SERVER_INFO_META_KEY
from mcp_types.version import MODERN_PROTOCOL_VERSIONS
from pydantic_core import to_json
from starlette.types import Receive, Send

from gateway.frozen import statically_frozen
from gateway.model import Surface
from gateway.telemetry.metrics import UNKNOWN_TOOL
from gateway.telemetry.requests import UNOBSERVED, Observed, Operation, observing, serving
from gateway.tools.catalogue import UnknownTool
from gateway.wire.calls import Calls
from gateway.wire.carried import carried_by
from gateway.wire.exchange import Exchange, still_there, until_gone
from gateway.wire.fields import Fields
from gateway.wire.http_answers import Answer, raw_answer
from gateway.wire.json_rpc import INVALID_PARAMS
from gateway.wire.lists import ToolList
from gateway.wire.signs_of_life import STEP, still_working
from gateway.wire.well_formed import well_formed

_CALL: Final = "tools/call"
_LIST: Final = "tools/list"
_VERSION: Final = "mcp-protocol-version"
_ROUTING: Final = (_VERSION, "mcp-method", "mcp-name", "accept", "content-type")
_PARAMS: Final = {_CALL: frozenset({"name", "arguments", "_meta"}), _LIST: frozenset({"_meta"})}
_JSON: Final = "application/json"
_ACCEPTED: Final = frozenset({_JSON, "text/event-stream"})
_HABITS: Final = 64
"""Pairs of `Accept` and `Content-Type` that are remembered: each client has one, and sends it with every message."""
_SILENCE: Final = 15.0
"""Seconds after which an answer begins as a stream with signs of life in it: proxies cut silent connections."""
_STREAM: Final = [
    (b"content-type", b"text/event-stream"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


@statically_frozen
class PlainList:
    """A request for the tools, from the beginning."""

    id: str | int
    version: str
    meta: Mapping[str, Any]


@statically_frozen
class PlainCall:
    """A call that the app is not needed for."""

    id: str | int
    version: str
    name: str
    arguments: dict[str, Any]
    meta: Mapping[str, Any]


class Direct:
    """Answers plain requests.

    Args:
        calls: makes them.
        tools: what is on offer.
        talks: whether a tool, by its name, may say something to its client before its answer: then it is the app's.
        knows: whether a name is in the catalogue; any other is watched as `unknown`.
        server_info: what every result of this era says of its server.
        progress_seconds: between two signs of life of a long call, for clients that ask for them.
    """

    def __init__(
        self,
        calls: Calls,
        tools: ToolList,
        talks: Callable[[str], bool],
        *,
        knows: Callable[[str], bool],
        server_info: Mapping[str, Any],
        progress_seconds: float = 5.0,
    ) -> None:
        self._calls = calls
        self._tools = tools
        self._talks = talks
        self._knows = knows
        self._meta = {SERVER_INFO_META_KEY: dict(server_info)}
        self._spelled_meta = to_json(self._meta)
        self._progress_seconds = progress_seconds

    def plain(self, fields: Fields, message: Mapping[str, Any]) -> PlainCall | PlainList | None:
        """What a message asks for, or None when it is the app's to answer.

        Args:
            message: one JSON-RPC request whose id, method and params have the right types.
        """
        values, method = fields.values, message.get("method")
        if method not in _PARAMS or values.get(_VERSION) not in MODERN_PROTOCOL_VERSIONS:
            return None
        if not fields.repeated.isdisjoint(_ROUTING):
            return None
        if not _as_the_protocol_says(values.get("accept", ""), values.get("content-type", "")):
            return None
        id, params = message.get("id"), message.get("params", {})
        if id is None or not params.keys() <= _PARAMS[method]:
            return None
        route = classify_inbound_request(message, headers=values)
        if not isinstance(route, InboundModernRoute):
            return None
        if not well_formed(method, route.protocol_version, params):
            return None
        if method == _LIST:
            return PlainList(id, route.protocol_version, params["_meta"])
        if not isinstance(params.get("arguments"), dict) or self._talks(params["name"]):
            return None
        return PlainCall(id, route.protocol_version, params["name"], params["arguments"], params["_meta"])

    async def answer(
        self,
        asked: PlainCall | PlainList,
        exchange: Exchange,
        fields: Fields,
        client: str | None,
        receive: Receive,
        send: Send,
    ) -> list[str]:
        """Send the answer. Returns the ids of actions whose answers were handed over whole."""
        if isinstance(asked, PlainCall):
            return await self._called(asked, exchange, fields, client, receive, send)
        await self._listed(asked, exchange, fields, client, send)
        return []

    async def _listed(
        self, asked: PlainList, exchange: Exchange, fields: Fields, client: str | None, send: Send
    ) -> None:
        with self._watched(asked, fields, client):
            result = self._tools.first_page(exchange.principal, {"_meta": self._meta})
        await raw_answer(200, _response(asked.id, b"result", result)).send(send)

    async def _called(
        self, call: PlainCall, exchange: Exchange, fields: Fields, client: str | None, receive: Receive, send: Send
    ) -> list[str]:
        stream = _Stream(call, receive, send, self._progress_seconds)
        try:
            with self._watched(call, fields, client) as observed:
                reply = await self._reply(call, exchange, fields, observed)
        except asyncio.CancelledError:
            if stream.left:
                return []
            raise
        finally:
            stream.stop()
        # Before it is sent: a client may well close as soon as it has read its answer.
        there = not exchange.answered or await still_there(receive)
        if not await stream.end(reply):
            await reply.send(send)
        return exchange.answered if there else []

    async def _reply(self, call: PlainCall, exchange: Exchange, fields: Fields, observed: Observed) -> Answer:
        carried = carried_by(call.meta, fields.values)
        try:
            outcome = await self._calls.outcome(exchange, Surface.TOOL, call.name, call.arguments, carried)
        except UnknownTool as unknown:
            observed.error = str(INVALID_PARAMS)
            error = to_json({"code": INVALID_PARAMS, "message": unknown.message})
            return raw_answer(400, _response(call.id, b"error", error))
        if outcome.is_error:
            observed.error = "tool_error"
        return raw_answer(200, _response(call.id, b"result", self._calls.spelled(outcome, self._spelled_meta)))

    def _watched(
        self, asked: PlainCall | PlainList, fields: Fields, client: str | None
    ) -> AbstractContextManager[Observed]:
        return serving(self._operation(asked, fields, client)) if observing() else UNOBSERVED

    def _operation(self, asked: PlainCall | PlainList, fields: Fields, client: str | None) -> Operation:
        tool = None
        if isinstance(asked, PlainCall):
            tool = asked.name if self._knows(asked.name) else UNKNOWN_TOOL
        return Operation(
            method=_CALL if isinstance(asked, PlainCall) else _LIST,
            tool=tool,
            version=asked.version,
            transport="tcp",
            request_id=asked.id,
            client=client,
            meta=asked.meta,
            headers=fields.values,
        )


class _Stream:
    """Turns an answer that takes long into a stream of events, so that nobody takes the silence for an end.

    From then on it also sees whether the client hangs up, and cancels what is done for it; shorter calls are not worth
    a watch. What the pipeline has begun goes on either way (semantics.md I-9).
    """

    left = False
    """Whether the client hung up, and its call was cancelled for that."""
    _over: asyncio.Event | None = None
    _telling: asyncio.Task[None] | None = None
    _watching: asyncio.Task[None] | None = None
    _signs = 0

    def __init__(self, call: PlainCall, receive: Receive, send: Send, progress_seconds: float) -> None:
        self._receive = receive
        self._send = send
        self._token = call.meta.get("progressToken")
        self._every = _SILENCE if self._token is None else progress_seconds
        self._serving = asyncio.current_task()
        # A timer, and not a task: most calls end before it, and then it has cost nothing.
        self._timer = asyncio.get_running_loop().call_later(self._every, self._begin)

    async def end(self, reply: Answer) -> bool:
        """Send the reply as the last event; False when no stream has begun, and nothing was sent."""
        if self._telling is None:
            return False
        await self._telling
        await self._send({"type": "http.response.body", "body": _event(reply.body), "more_body": False})
        return True

    def stop(self) -> None:
        """No more signs of life."""
        self._timer.cancel()
        if self._over is not None:
            self._over.set()
        if self._watching is not None:
            self._watching.cancel()

    def _begin(self) -> None:
        self._over = asyncio.Event()
        self._telling = asyncio.create_task(self._tell(self._over, time.monotonic() - self._every))
        self._watching = asyncio.create_task(self._watch())

    async def _tell(self, over: asyncio.Event, begun: float) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": _STREAM})
        while not over.is_set():
            await self._send({"type": "http.response.body", "body": self._sign_of_life(begun), "more_body": True})
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await over.wait()

    async def _watch(self) -> None:
        await until_gone(self._receive)
        self.left = True
        if self._serving is not None:
            self._serving.cancel()

    def _sign_of_life(self, begun: float) -> bytes:
        if self._token is None:
            return b": ping\r\n\r\n"
        self._signs += 1
        params = {"progressToken": self._token, "progress": self._signs * STEP, "message": still_working(begun)}
        return _event(to_json({"jsonrpc": "2.0", "method": "notifications/progress", "params": params}))


def _response(id: str | int, kind: bytes, spelled: bytes) -> bytes:
    return b'{"jsonrpc":"2.0","id":%b,"%b":%b}' % (to_json(id), kind, spelled)


def _event(message: bytes) -> bytes:
    return b"event: message\r\ndata: " + message + b"\r\n\r\n"


@lru_cache(maxsize=_HABITS)
def _as_the_protocol_says(accept: str, content_type: str) -> bool:
    accepted = {kind.partition(";")[0].strip().lower() for kind in accept.split(",")}
    return accepted >= _ACCEPTED and content_type.lower().startswith(_JSON)
