"""Sessions of the handshake era: whose each one is, how many a principal may have, and who hears of changes.

An ASGI layer between the front, which knows the caller, and the SDK's app, which keeps the streams. A session belongs
to the principal that opened it; to anybody else it does not exist (semantics.md A-8). Clients of 2026-07-28 have
no sessions, and pass.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Final

from mcp.server.lowlevel import NotificationOptions, Server
from mcp.server.models import InitializationOptions
from mcp.server.session import ServerSession
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.caller import Level
from gateway.model import Principal, new_id
from gateway.wire.exchange import EXCHANGE
from gateway.wire.http_answers import failure
from gateway.wire.json_rpc import INVALID_REQUEST

_SESSION: Final = "mcp-session-id"
_VERSION: Final = "mcp-protocol-version"
_TELLING_SECONDS: Final = 2.0
"""How long one client that does not read may keep an announcement waiting."""


@dataclass(slots=True, eq=False)
class Session:
    """One client's connection: as long as its session over HTTP, or as its pipe."""

    principal: Principal
    id: str = field(default_factory=lambda: new_id("ssn"))
    """Our own name for it, for tasks (semantics.md I-16); not the id that opens it."""
    line: ServerSession | None = None
    """Where it can be told something; None before its first request, and in the era that has no such line."""
    level: Level = "info"
    """What matters less is not sent to its client's log."""
    watched: set[str] = field(default_factory=set)
    """The URIs of resources of whose changes it is told."""
    under_way: int = 0
    """Requests being served, an open event stream included."""
    used: float = 0.0
    """When the last of them ended."""


class Sessions:
    """The sessions that are open in this process.

    Args:
        per_principal: how many each principal may have at once.
        idle_seconds: after so long without a request under way, a session has ended.
        clock: seconds.
    """

    def __init__(
        self, *, per_principal: int = 32, idle_seconds: float = 1800.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.idle_seconds = idle_seconds
        self._per_principal = per_principal
        self._clock = clock
        self._open: dict[str, Session] = {}
        self._opening: set[Session] = set()

    def around(self, app: ASGIApp) -> ASGIApp:
        """`app`, to be reached by the owner of a session only."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            version = Headers(scope=scope).get(_VERSION) if scope["type"] == "http" else None
            if scope["type"] != "http" or (version is not None and version not in HANDSHAKE_PROTOCOL_VERSIONS):
                await app(scope, receive, send)
            else:
                await self._serve(app, scope, receive, send)

        return guarded

    def live(self) -> list[Session]:
        """Every session that has not ended; those that have are forgotten here."""
        self._open = {key: session for key, session in self._open.items() if not self._ended(session)}
        return list(self._open.values())

    async def _serve(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        exchange = scope["state"][EXCHANGE]
        key = Headers(scope=scope).get(_SESSION)
        session = self._of(exchange.principal, key)
        if session is None and key is not None:
            message = "There is no such session. Send `initialize` to open one."
            await failure(404, message, code=INVALID_REQUEST).send(send)
            return
        if session is None:
            message = f"This principal has {self._per_principal} sessions open. End one with DELETE, or wait."
            await failure(429, message, retry_after=60).send(send)
            return

        async def watched(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._note(key, session, scope["method"], message)
            await send(message)

        exchange.session = session
        session.under_way += 1
        try:
            await app(scope, receive, watched)
        finally:
            session.under_way -= 1
            session.used = self._clock()
            self._opening.discard(session)

    def _ended(self, session: Session) -> bool:
        return not session.under_way and self._clock() - session.used >= self.idle_seconds

    def _of(self, principal: Principal, key: str | None) -> Session | None:
        """The caller's session under `key`, or one to be opened; None where there is none, or no room for one."""
        if key is not None:
            session = self._open.get(key)
            known = session is not None and _same(session.principal, principal) and not self._ended(session)
            return session if known else None
        everyone = [*self.live(), *self._opening]
        if sum(_same(session.principal, principal) for session in everyone) >= self._per_principal:
            return None
        session = Session(principal)
        self._opening.add(session)
        return session

    def _note(self, key: str | None, session: Session, method: str, answer: Message) -> None:
        """What the SDK's answer says of the session: that it was opened, or that it is gone."""
        status: int = answer["status"]
        named = Headers(raw=list(answer["headers"])).get(_SESSION)
        if key is None and named is not None and status < 400:
            self._open[named] = session
            self._opening.discard(session)
        elif key is not None and (status == 404 or (method == "DELETE" and status < 300)):
            self._open.pop(key, None)


class SessionServer(Server[Any]):
    """A server whose clients of the handshake era are told, there, that changes of its lists are announced."""

    def create_initialization_options(
        self,
        notification_options: NotificationOptions | None = None,
        experimental_capabilities: dict[str, dict[str, Any]] | None = None,
        extensions: dict[str, dict[str, Any]] | None = None,
    ) -> InitializationOptions:
        """As the SDK makes them, with each list that is served announced."""
        announced = NotificationOptions(prompts_changed=True, resources_changed=True, tools_changed=True)
        return super().create_initialization_options(
            notification_options or announced, experimental_capabilities, extensions
        )


async def announce(sessions: Iterable[Session], tell: Callable[[ServerSession], Awaitable[None]]) -> None:
    """Have every session told at once; one that does not read keeps none of the others waiting."""

    async def told(line: ServerSession) -> None:
        async with asyncio.timeout(_TELLING_SECONDS):
            await tell(line)

    lines = [session.line for session in sessions if session.line is not None]
    await asyncio.gather(*(told(line) for line in lines), return_exceptions=True)


def _same(one: Principal, other: Principal) -> bool:
    return (one.tenant, one.id) == (other.tenant, other.id)
