"""Who is told of changes: of lists, to whoever may list, and of resources, to who asked and may read them (A-7, T-5).

In the era of 2026-07-28 a client asks for both with `subscriptions/listen`, whose answer is the stream; before it, a
session hears of lists, and of the resources that it has named with `resources/subscribe`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import ContextVar
from typing import Any, Final, Protocol

import anyio.lowlevel
from mcp.server.lowlevel import Server
from mcp.server.session import ServerSession
from mcp.server.subscriptions import (
    ListenHandler,
    PromptsListChanged,
    ResourcesListChanged,
    ResourceUpdated,
    ServerEvent,
    ToolsListChanged,
)
from mcp.shared.exceptions import MCPError
from mcp_types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from gateway.model import Call, Principal, Surface
from gateway.outcome import Outcome
from gateway.tools.catalogue import UnknownTool
from gateway.wire.context import Context
from gateway.wire.exchange import Exchange
from gateway.wire.json_rpc import NOT_DONE, NOT_FOUND
from gateway.wire.results import error_of
from gateway.wire.sessions import Session, SessionServer, announce

MAX_WATCHED: Final = 100
"""Resources that one session or one stream may ask for."""

_CHANGED: Final[Mapping[Surface, tuple[ServerEvent, Callable[[ServerSession], Awaitable[None]]]]] = {
    Surface.TOOL: (ToolsListChanged(), ServerSession.send_tool_list_changed),
    Surface.RESOURCE: (ResourcesListChanged(), ServerSession.send_resource_list_changed),
    Surface.PROMPT: (PromptsListChanged(), ServerSession.send_prompt_list_changed),
}
"""How a changed list is announced: to who listens, and to sessions."""


class Changing(Protocol):
    """What the gateway tells of changes."""

    def surfaces(self) -> frozenset[Surface]:
        """What there is at all, for somebody."""
        ...

    async def watch(self, call: Call) -> Outcome | None:
        """Decide whether the caller may be told of changes of a resource, as if it were read.

        Returns:
            The refusal; None: it may.

        Raises:
            UnknownTool: hidden and absent alike.
        """
        ...

    async def may_hear(self, principal: Principal, uri: str) -> bool:
        """Whether this principal may read the resource at this moment."""
        ...

    def subscribe_list_changed(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have `callback` awaited on the event loop whenever what is offered to someone may have changed."""
        ...

    def subscribe_updated(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have `callback` awaited on the event loop with the URI of each resource that may have changed."""
        ...


class Subscriptions:
    """The handlers of subscriptions, and the announcements.

    Args:
        exchange: of a request: who asks, and in which session.
        sessions: those that are open.
    """

    def __init__(
        self, gateway: Changing, exchange: Callable[[Context], Exchange], sessions: Callable[[], Iterable[Session]]
    ) -> None:
        self._gateway = gateway
        self._exchange = exchange
        self._sessions = sessions
        self._bus = _Bus(gateway.may_hear)
        self._stream = ListenHandler(self._bus)
        gateway.subscribe_list_changed(self._lists_changed)
        gateway.subscribe_updated(self._updated)

    def serve(self, server: Server[Any]) -> None:
        """Register those that can be kept: without a session there is nobody to tell later."""
        server.add_request_handler("subscriptions/listen", SubscriptionsListenRequestParams, self.listen)
        if isinstance(server, SessionServer) and Surface.RESOURCE in self._gateway.surfaces():
            server.add_request_handler("resources/subscribe", SubscribeRequestParams, self.subscribe)
            server.add_request_handler("resources/unsubscribe", UnsubscribeRequestParams, self.unsubscribe)

    async def listen(self, ctx: Context, params: SubscriptionsListenRequestParams) -> SubscriptionsListenResult:
        """One stream. Resources that the caller may not read are left out of what is acknowledged."""
        principal, wanted = self._exchange(ctx).principal, params.notifications
        granted = [
            uri for uri in (wanted.resource_subscriptions or ())[:MAX_WATCHED] if await self._may(principal, uri)
        ]
        _LISTENING.set((principal, frozenset(granted)))
        kept = wanted.model_copy(update={"resource_subscriptions": granted or None})
        return await self._stream(ctx, params.model_copy(update={"notifications": kept}))

    async def subscribe(self, ctx: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Name one more resource that the session is told of."""
        exchange = self._exchange(ctx)
        watched = exchange.session.watched if exchange.session is not None else set()
        if len(watched) >= MAX_WATCHED and params.uri not in watched:
            raise MCPError(NOT_DONE, f"A session is told of {MAX_WATCHED} resources at most; unsubscribe from one.")
        try:
            refused = await self._gateway.watch(Call(exchange.principal, params.uri, {}, surface=Surface.RESOURCE))
        except UnknownTool as unknown:
            raise MCPError(NOT_FOUND, unknown.message, {"uri": params.uri}) from None
        if refused is not None:
            raise MCPError(*error_of(refused))
        watched.add(params.uri)
        return EmptyResult()

    async def unsubscribe(self, ctx: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """Name one fewer; it may have been none."""
        session = self._exchange(ctx).session
        if session is not None:
            session.watched.discard(params.uri)
        return EmptyResult()

    async def _may(self, principal: Principal, uri: str) -> bool:
        try:
            return await self._gateway.watch(Call(principal, uri, {}, surface=Surface.RESOURCE)) is None
        except UnknownTool:
            return False

    async def _lists_changed(self) -> None:
        for surface in self._gateway.surfaces():
            event, tell = _CHANGED[surface]
            await self._bus.publish(event)
            await announce(self._sessions(), tell)

    async def _updated(self, uri: str) -> None:
        await self._bus.publish(ResourceUpdated(uri=uri))
        asked = [session for session in self._sessions() if uri in session.watched]
        told = [session for session in asked if await self._gateway.may_hear(session.principal, uri)]
        await announce(told, lambda line: line.send_resource_updated(uri))


_LISTENING: ContextVar[tuple[Principal, frozenset[str]] | None] = ContextVar("listening", default=None)
"""Whose stream is being opened, and the resources it may name: the SDK's handler does not know principals."""


class _Bus:
    """Passes events on to streams: those of a resource only to who named it, and may still read it."""

    def __init__(self, may_hear: Callable[[Principal, str], Awaitable[bool]]) -> None:
        self._may_hear = may_hear
        self._streams: dict[object, tuple[tuple[Principal, frozenset[str]] | None, Callable[[ServerEvent], None]]] = {}

    async def publish(self, event: ServerEvent) -> None:
        for whose, deliver in list(self._streams.values()):
            if not isinstance(event, ResourceUpdated) or (
                whose is not None and event.uri in whose[1] and await self._may_hear(whose[0], event.uri)
            ):
                deliver(event)
        # Streams that are read as fast as they can be should not overflow by a burst.
        await anyio.lowlevel.checkpoint()

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        token = object()
        self._streams[token] = (_LISTENING.get(), listener)

        def unsubscribe() -> None:
            self._streams.pop(token, None)

        return unsubscribe
