"""Questions of a tool to its caller's client, in the two ways that MCP has (semantics.md Q-3).

In the handshake era the gateway asks over the session, and makes the call again with the answers. In the modern era
the result of the call is the question: the client makes the call again. Either way the second call is a whole one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from mcp.server.request_state import RequestStateBoundary, RequestStateSecurity
from mcp.shared.exceptions import MCPError
from mcp.shared.message import ServerMessageMetadata
from mcp_types import (
    ClientCapabilities,
    CreateMessageRequest,
    CreateMessageResult,
    ElicitRequest,
    ElicitResult,
    ListRootsRequest,
    ListRootsResult,
)
from pydantic import BaseModel, ValidationError

from gateway.model import Call, Principal
from gateway.outcome import Outcome
from gateway.wire.calls import Handle
from gateway.wire.context import Context, modern
from gateway.wire.json_rpc import CAPABILITY_MISSING

STATE_SECONDS: Final = 600.0
"""How long the state that a client carries is good for: as long as a question stays open."""
_PATIENCE_SECONDS: Final = 300.0
"""How long a session's client may take for one answer; then it gave none."""
_NO_ANSWER: Final[dict[str, Any]] = {}
"""What is no answer to any question."""
_METHODS: Final[dict[str, tuple[Any, type[BaseModel]]]] = {
    "elicitation/create": (ElicitRequest, ElicitResult),
    "sampling/createMessage": (CreateMessageRequest, CreateMessageResult),
    "roots/list": (ListRootsRequest, ListRootsResult),
}


def askable(ctx: Context) -> frozenset[str]:
    """What the client of a request can be asked: what it declares and, over a session, what can reach it."""
    declared = ctx.session.client_capabilities
    if declared is None or not (modern(ctx) or ctx.session.can_send_request):
        return frozenset()
    return frozenset(name for name in ("elicitation", "sampling", "roots") if _declares(declared, name))


async def answered(handle: Handle, ctx: Context, call: Call) -> Outcome:
    """The outcome of a call that may go on from a question, and may ask.

    In the modern era an outcome that asks is the client's to answer; over a session it is put here, until none is left.
    """
    if modern(ctx):
        return await handle(_continuing(ctx, call))
    outcome = await handle(call)
    while outcome.asks:
        answers = {name: await _put(ctx, question) for name, question in outcome.asks.items()}
        outcome = await handle(replace(call, continues=outcome.action_id, answers=answers))
    return outcome


def refuse_undeclared(ctx: Context, outcome: Outcome) -> None:
    """Tell a modern client what it would have had to declare.

    Raises:
        MCPError: `CAPABILITY_MISSING`.
    """
    if outcome.lacks and modern(ctx):
        needed: dict[str, dict[str, Any]] = {"requiredCapabilities": {name: {} for name in outcome.lacks}}
        raise MCPError(CAPABILITY_MISSING, outcome.message or "", needed)


def sealing(key: bytes | None, principal: Callable[[Context], Principal]) -> RequestStateBoundary:
    """What seals that state, for one principal, tool and arguments, and opens none that it did not seal.

    Args:
        key: 32 bytes that every replica has; None: one of this process.
        principal: who makes a request.
    """

    def bound(ctx: Context) -> str:
        who = principal(ctx)
        return f"{who.tenant}/{who.id}"

    if key is None:
        security = RequestStateSecurity.ephemeral(ttl=STATE_SECONDS)
        security.bind_principal = bound
    else:
        security = RequestStateSecurity(keys=[key], ttl=STATE_SECONDS, bind_principal=bound)
    return RequestStateBoundary(security, default_audience="holdgate")


async def _put(ctx: Context, question: Mapping[str, Any]) -> dict[str, Any] | None:
    """The client's answer over its session; None when it gave none."""
    request, result = _METHODS[question["method"]]
    try:
        answer = await ctx.session.send_request(
            request.model_validate(question),
            result,
            request_read_timeout_seconds=_PATIENCE_SECONDS,
            metadata=ServerMessageMetadata(related_request_id=ctx.request_id),
        )
    except MCPError:
        return None
    except ValidationError:
        return _NO_ANSWER
    dumped: dict[str, Any] = answer.model_dump(mode="json", by_alias=True, exclude_none=True)
    return dumped


def _continuing(ctx: Context, call: Call) -> Call:
    """The call with the answers that the request brings. Without the state of a question they answer none."""
    params = ctx.params or {}
    state = params.get("requestState")
    return call if state is None else replace(call, continues=state, answers=params.get("inputResponses") or {})


def _declares(declared: ClientCapabilities, name: str) -> bool:
    if name == "elicitation" and declared.elicitation is not None:
        # Who names a mode has only that; who names none has forms, as all had before there were modes.
        return declared.elicitation.form is not None or declared.elicitation.url is None
    return getattr(declared, name) is not None
