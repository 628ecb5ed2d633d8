"""Resources, prompts and completions: they go the way of tools, decided and recorded like them.

What a caller may not see is not listed, and asking for it is answered like asking for what there is not (T-5, A-7).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final, Protocol

from mcp.server.lowlevel import Server
from mcp.shared.exceptions import MCPError
from mcp_types import (
    CompleteRequestParams,
    GetPromptRequestParams,
    PromptReference,
    ReadResourceRequestParams,
)

from gateway.errors import Refusal
from gateway.model import Principal, Surface
from gateway.outcome import Outcome, Status
from gateway.tools.catalogue import UnknownTool
from gateway.tools.offers import MAX_COMPLETIONS
from gateway.wire.context import Context, modern
from gateway.wire.json_rpc import INTERNAL_ERROR, INVALID_PARAMS, NOT_DONE, NOT_FOUND
from gateway.wire.results import error_of, input_required, prompt_result, read_result

log = logging.getLogger("holdgate.wire")

_MAX_BEGUN: Final = 1_000


class Completing(Protocol):
    """What the gateway completes."""

    def complete(self, principal: Principal, surface: Surface, name: str, argument: str, begun: str) -> list[str]:
        """Values for an argument of a resource, by its template, or of a prompt.

        Raises:
            UnknownTool: hidden and absent alike.
            Refusal: the rate is spent, or the gateway is closing.
        """
        ...


class Carrier(Protocol):
    """What carries a request to the gateway, as one does that calls a tool."""

    def principal(self, ctx: Context) -> Principal:
        """Who asks."""
        ...

    async def carry(self, ctx: Context, surface: Surface, name: str, arguments: Mapping[str, Any]) -> Outcome:
        """The one answer.

        Raises:
            UnknownTool: hidden and absent alike.
        """
        ...


class ResourcesAndPrompts:
    """The handlers of what is not a tool."""

    def __init__(self, gateway: Completing, carrier: Carrier) -> None:
        self._gateway = gateway
        self._carrier = carrier

    def serve(self, server: Server[Any], surfaces: frozenset[Surface]) -> None:
        """Register those that there is something for."""
        if Surface.RESOURCE in surfaces:
            server.add_request_handler("resources/read", ReadResourceRequestParams, self.read)
        if Surface.PROMPT in surfaces:
            server.add_request_handler("prompts/get", GetPromptRequestParams, self.get)
        if surfaces - {Surface.TOOL}:
            server.add_request_handler("completion/complete", CompleteRequestParams, self.complete)

    async def read(self, ctx: Context, params: ReadResourceRequestParams) -> dict[str, Any]:
        """One resource."""
        try:
            outcome = await self._carrier.carry(ctx, Surface.RESOURCE, params.uri, {})
        except UnknownTool as unknown:
            code = INVALID_PARAMS if modern(ctx) else NOT_FOUND
            raise MCPError(code, unknown.message, {"uri": params.uri}) from None
        return input_required(outcome) if outcome.asks else read_result(_done(outcome), params.uri)

    async def get(self, ctx: Context, params: GetPromptRequestParams) -> dict[str, Any]:
        """One prompt."""
        try:
            outcome = await self._carrier.carry(ctx, Surface.PROMPT, params.name, params.arguments or {})
        except UnknownTool as unknown:
            raise MCPError(INVALID_PARAMS, unknown.message) from None
        return input_required(outcome) if outcome.asks else prompt_result(_done(outcome))

    async def complete(self, ctx: Context, params: CompleteRequestParams) -> dict[str, Any]:
        """Values for an argument, from what has been typed of it."""
        ref, argument = params.ref, params.argument
        surface = Surface.PROMPT if isinstance(ref, PromptReference) else Surface.RESOURCE
        name = ref.name if isinstance(ref, PromptReference) else ref.uri
        begun = argument.value[:_MAX_BEGUN]
        try:
            found = self._gateway.complete(self._carrier.principal(ctx), surface, name, argument.name, begun)
        except UnknownTool as unknown:
            raise MCPError(INVALID_PARAMS, unknown.message) from None
        except Refusal as refusal:
            raise MCPError(NOT_DONE, f"{refusal.code}: {refusal.message} {refusal.next}") from None
        except Exception:
            log.exception("completion_broken", extra={"argument": argument.name[:64]})
            raise MCPError(INTERNAL_ERROR, "The gateway failed while it completed this argument.") from None
        values = {"values": found[:MAX_COMPLETIONS], "total": len(found), "hasMore": len(found) > MAX_COMPLETIONS}
        return {"resultType": "complete", "completion": values}


def _done(outcome: Outcome) -> Outcome:
    """The outcome, if there is something to hand over.

    Raises:
        MCPError: saying why there is not, and what to do.
    """
    if outcome.status is not Status.DONE:
        raise MCPError(*error_of(outcome))
    return outcome
