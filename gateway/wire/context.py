"""A request as the SDK hands it to a handler, and the era that it is of."""

from __future__ import annotations

from typing import Any, TypeAlias

from mcp.server import ServerRequestContext
from mcp_types.version import MODERN_PROTOCOL_VERSIONS

Context: TypeAlias = ServerRequestContext[Any, Any]


def modern(ctx: Context) -> bool:
    """Whether it is of the era of 2026-07-28, and not of the one that begins with a handshake."""
    return ctx.protocol_version in MODERN_PROTOCOL_VERSIONS
