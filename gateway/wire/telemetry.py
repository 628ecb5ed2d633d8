"""What telemetry sees of the protocol: each request once, and of what it says nothing but names we know."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mcp.server.context import CallNext, HandlerResult, ServerMiddleware
from mcp.shared.exceptions import MCPError
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS
from pydantic import ValidationError

from gateway.telemetry.metrics import UNKNOWN_TOOL
from gateway.telemetry.requests import Operation, observing, serving
from gateway.wire.context import Context
from gateway.wire.json_rpc import INVALID_PARAMS


class Telemetry(ServerMiddleware[Any]):
    """Observes every request and notification around its handling. Stands in for the SDK's own middleware.

    Args:
        knows: whether a name is in the catalogue; any other counts as `unknown`, however many a caller makes up.
    """

    def __init__(self, knows: Callable[[str], bool]) -> None:
        self._knows = knows

    async def __call__(self, ctx: Context, call_next: CallNext) -> HandlerResult:
        """Serve one message."""
        if not observing():
            return await call_next(ctx)
        with serving(self._operation(ctx)) as observed:
            try:
                result = await call_next(ctx)
            except MCPError as error:
                observed.error = str(error.error.code)
                raise
            except ValidationError:
                observed.error = str(INVALID_PARAMS)
                raise
            if ctx.method == "tools/call" and isinstance(result, dict) and result.get("isError") is True:
                observed.error = "tool_error"
            return result

    def _operation(self, ctx: Context) -> Operation:
        request = ctx.request
        client = request.client if request is not None else None
        return Operation(
            method=ctx.method,
            tool=self._tool(ctx) if ctx.method == "tools/call" else None,
            version=ctx.protocol_version if ctx.protocol_version in KNOWN_PROTOCOL_VERSIONS else "_OTHER",
            transport="tcp" if request is not None else "pipe",
            request_id=ctx.request_id,
            client=client.host if client is not None else None,
            meta=dict(ctx.meta or {}),
            headers=request.headers if request is not None else {},
        )

    def _tool(self, ctx: Context) -> str:
        name = (ctx.params or {}).get("name")
        return name if isinstance(name, str) and self._knows(name) else UNKNOWN_TOOL
