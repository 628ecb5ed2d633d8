"""MCP, both eras, over HTTP and stdio: the protocol's server, and what its handlers share.

It translates and decides nothing: a request becomes a `Call`, an `Outcome` becomes a result.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol, cast

from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.server.transport_security import TransportSecuritySettings
from mcp.shared.exceptions import MCPError
from mcp.shared.message import SessionMessage
from mcp_types import (
    CallToolRequestParams,
    EmptyResult,
    ErrorData,
    JSONRPCError,
    SetLevelRequestParams,
)
from starlette.types import ASGIApp

from gateway import __version__
from gateway.model import Call, Carried, Principal, Surface
from gateway.outcome import Outcome
from gateway.strict_json import MAX_BYTES
from gateway.tools.catalogue import UnknownTool
from gateway.wire import questions
from gateway.wire.calls import Calls
from gateway.wire.carried import carried_by
from gateway.wire.context import Context, modern
from gateway.wire.direct import Direct
from gateway.wire.exchange import EXCHANGE, Exchange
from gateway.wire.http_front import FrontSettings
from gateway.wire.instructions import INSTRUCTIONS
from gateway.wire.json_rpc import INVALID_PARAMS
from gateway.wire.lists import Lists, Offering, ToolList
from gateway.wire.messages import BadMessage
from gateway.wire.notices import Notices
from gateway.wire.resources_prompts import Completing, ResourcesAndPrompts
from gateway.wire.results import input_required
from gateway.wire.sessions import Session, Sessions, SessionServer
from gateway.wire.stdio_lines import WatchedLines, strict_lines
from gateway.wire.subscriptions import Changing, Subscriptions
from gateway.wire.telemetry import Telemetry

log = logging.getLogger("holdgate.wire")


class Gateway(Offering, Completing, Changing, Protocol):
    """What the protocol needs of the gateway behind it."""

    async def handle(self, call: Call) -> Outcome:
        """Answer a call with exactly one outcome.

        Raises:
            UnknownTool: for a name that is absent, and for one that this principal may not see.
        """
        ...

    def knows(self, tool: str) -> bool:
        """Whether there is a tool of that name, visible to the caller or not: no other name may be written down."""
        ...

    def tells_of_writes(self, tool: str) -> bool:
        """Whether an answer of that name may tell how a write ended."""
        ...

    def talks(self, tool: str) -> bool:
        """Whether the tool of that name may say something to its client before its answer."""
        ...

    async def delivered(self, action_ids: Sequence[str]) -> None:
        """The answers of these actions were handed over whole (semantics.md I-15). Never fails."""
        ...


class _Face:
    """The handlers of one server."""

    def __init__(
        self,
        gateway: Gateway,
        connection: Exchange | None,
        sessions: Callable[[], Iterable[Session]],
        *,
        structured_content: bool,
        progress_seconds: float,
    ) -> None:
        self._gateway = gateway
        self._connection = connection
        self._structured = structured_content
        self._calls = Calls(gateway.handle, gateway.tells_of_writes, structured_content=structured_content)
        self._progress_seconds = progress_seconds
        self._subscriptions = Subscriptions(gateway, self._exchange, sessions)
        self.knows = gateway.knows

    def serve(self, server: Server[Any]) -> None:
        # Registered here and not by the SDK's own parameters, because these results are ready dicts.
        server.add_request_handler("tools/call", CallToolRequestParams, self.call_tool)
        surfaces = self._gateway.surfaces()
        Lists(self._gateway, self.principal, output_schemas=self._structured).serve(server, surfaces)
        ResourcesAndPrompts(self._gateway, self).serve(server, surfaces)
        self._subscriptions.serve(server)
        if isinstance(server, SessionServer):
            server.add_request_handler("logging/setLevel", SetLevelRequestParams, self.set_level)

    async def call_tool(self, ctx: Context, params: CallToolRequestParams) -> dict[str, Any]:
        try:
            outcome = await self.carry(ctx, Surface.TOOL, params.name, params.arguments or {})
        except UnknownTool as error:
            raise MCPError(INVALID_PARAMS, error.message) from None
        return input_required(outcome) if outcome.asks else self._calls.result(outcome)

    async def carry(self, ctx: Context, surface: Surface, name: str, arguments: Mapping[str, Any]) -> Outcome:
        exchange = self._exchange(ctx)
        carried = self._carried(ctx, exchange.session)
        notices = Notices(ctx, exchange.session, every=self._progress_seconds)
        outcome = await self._calls.outcome(exchange, surface, name, dict(arguments), carried, notices)
        questions.refuse_undeclared(ctx, outcome)
        return outcome

    async def set_level(self, ctx: Context, params: SetLevelRequestParams) -> EmptyResult:
        session = self._exchange(ctx).session
        if session is not None:
            session.level = params.level
        return EmptyResult()

    def principal(self, ctx: Context) -> Principal:
        return self._exchange(ctx).principal

    def _exchange(self, ctx: Context) -> Exchange:
        """Who calls: on HTTP the credential's principal, on stdio the configured one."""
        exchange = self._connection
        if exchange is None:
            assert ctx.request is not None
            exchange = ctx.request.scope["state"][EXCHANGE]
        assert isinstance(exchange, Exchange)
        if exchange.session is not None and not modern(ctx):
            exchange.session.line = ctx.session
        return exchange

    def _carried(self, ctx: Context, session: Session | None) -> Carried:
        handshake = ctx.session.client_params
        return carried_by(
            ctx.meta or {},
            ctx.request.headers if ctx.request is not None else {},
            session=session.id if session is not None else None,
            client=handshake.client_info.model_dump() if handshake is not None else None,
        )


def build_server(
    gateway: Gateway,
    *,
    sessions: Sessions | None = None,
    state_key: bytes | None = None,
    structured_content: bool = True,
    progress_seconds: float = 5.0,
) -> Server[Any]:
    """The protocol server for HTTP; the front puts the caller into each request.

    Args:
        gateway: answers the calls.
        sessions: those of the handshake era; None: that era is served without, so that any replica can answer.
        state_key: 32 bytes, shared by replicas, for what a client carries from a question to its answer; None: one of
            this process.
        structured_content: whether results carry the envelope a second time as structured content; off for hosts
            that show their model both halves.
        progress_seconds: between two signs of life of a long call, for clients that ask for them.
    """
    live: Callable[[], Iterable[Session]] = sessions.live if sessions is not None else tuple
    face = _Face(gateway, None, live, structured_content=structured_content, progress_seconds=progress_seconds)
    return _server(face, Server if sessions is None else SessionServer, state_key)


def direct(
    gateway: Gateway, server: Server[Any], *, structured_content: bool = True, progress_seconds: float = 5.0
) -> Direct:
    """What answers plain requests beside the app of `server`, in the same words; see `build_server`."""
    return Direct(
        Calls(gateway.handle, gateway.tells_of_writes, structured_content=structured_content),
        ToolList(gateway, output_schemas=structured_content),
        gateway.talks,
        knows=gateway.knows,
        server_info=server.server_info_stamp,
        progress_seconds=progress_seconds,
    )


def http_app(server: Server[Any], settings: FrontSettings, sessions: Sessions | None = None) -> ASGIApp:
    """The SDK's app, to be wrapped in `HttpFront`; `sessions` as given to `build_server`."""
    app = server.streamable_http_app(
        streamable_http_path=settings.path,
        stateless_http=sessions is None,
        session_idle_timeout=sessions.idle_seconds if sessions is not None else None,
        json_response=False,
        max_request_body_size=MAX_BYTES,
        transport_security=TransportSecuritySettings(
            allowed_hosts=list(settings.allowed_hosts), allowed_origins=list(settings.allowed_origins)
        ),
    )
    return sessions.around(app) if sessions is not None else app


async def serve_stdio(
    gateway: Gateway,
    principal: Principal,
    *,
    state_key: bytes | None = None,
    structured_content: bool = True,
    progress_seconds: float = 5.0,
) -> None:
    """Serve one client over standard input and output until it closes them.

    From here on standard output belongs to the protocol; whatever else is printed goes to standard error.

    Args:
        principal: who calls; a pipe carries no credential.
        gateway, state_key, structured_content, progress_seconds: see `build_server`.
    """
    pipe = Session(principal)
    connection = Exchange(principal, session=pipe)
    face = _Face(
        gateway, connection, lambda: [pipe], structured_content=structured_content, progress_seconds=progress_seconds
    )
    server = _server(face, SessionServer, state_key)

    async def refuse(bad: BadMessage) -> None:
        error = JSONRPCError(jsonrpc="2.0", id=bad.id, error=ErrorData(code=bad.code, message=str(bad)))
        await write_stream.send(SessionMessage(error))

    wire = os.fdopen(os.dup(1), "w", encoding="utf-8", newline="\n")
    os.set_blocking(wire.fileno(), True)  # as a parent that shares its own need not leave it
    os.dup2(2, 1)
    lines_in = strict_lines(0, refuse)
    lines_out = WatchedLines(wire, connection.answered, gateway.delivered)
    try:
        # The SDK asks for files, and only iterates over the one and calls write and flush of the other.
        async with stdio_server(cast("Any", lines_in), cast("Any", lines_out)) as (read_stream, write_stream):
            await server.run(read_stream, write_stream, server.create_initialization_options())
    except* BrokenPipeError:
        log.info("pipe_closed_by_client")


def _server(face: _Face, kind: type[Server[Any]], state_key: bytes | None) -> Server[Any]:
    server = kind(
        "holdgate",
        version=__version__,
        title="Holdgate",
        instructions=INSTRUCTIONS,
        # None of our schemas declares a header parameter; without this the SDK would list all tools on every call.
        get_tool_input_schema=lambda name: None,
    )
    face.serve(server)
    # Instead of the SDK's own middleware, which names spans after unvalidated tool names.
    server.middleware = [Telemetry(face.knows), questions.sealing(state_key, face.principal)]
    return server
