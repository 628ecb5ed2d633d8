"""A tool as clients see it: description, schemas and hints, with the control arguments every write has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.connector import Tool
from gateway.model import Risk
from gateway.tools.envelope import output_schema

MIN_KEY: Final = 16
MAX_KEY: Final = 255
MAX_REASON: Final = 500
MAX_EVIDENCE: Final = 10

CONTROLS: Final = ("idempotency_key", "dry_run", "reason", "evidence")
"""Arguments the catalogue adds to every write; no Input model may declare one of these names."""

_IDEMPOTENCY_KEY: Final[dict[str, Any]] = {
    "type": "string",
    "minLength": MIN_KEY,
    "maxLength": MAX_KEY,
    "description": (
        "Leave out at first. Repeating the same call is safe: it is answered from the first one. Pass a new key only "
        "to do the same thing a second time on purpose. 16 to 255 printable ASCII characters."
    ),
}
_DRY_RUN: Final[dict[str, Any]] = {
    "type": "boolean",
    "description": "True shows what would change, without changing anything.",
}
_REASON: Final[dict[str, Any]] = {
    "type": "string",
    "maxLength": MAX_REASON,
    "description": "Why this is done, in one sentence for a human reviewer. At most 500 characters.",
}
_EVIDENCE: Final[dict[str, Any]] = {
    "type": "array",
    "maxItems": MAX_EVIDENCE,
    "items": {"type": "string"},
    "description": "The action_id of each earlier read that this rests on. At most 10.",
}


@dataclass(frozen=True, slots=True)
class Published:
    """What `tools/list` says of one tool."""

    name: str
    title: str
    description: str
    input_schema: Mapping[str, Any]
    output_schema: Mapping[str, Any]
    annotations: Mapping[str, bool]
    """All four of MCP's hints, under their wire names: a missing one makes some clients ask for every call."""


@dataclass(frozen=True, slots=True)
class ToolSchemas:
    """A connector tool's own schemas, projected, before the gateway adds anything to them."""

    input: Mapping[str, Any]
    output: Mapping[str, Any]


def publish(tool: Tool, schemas: ToolSchemas) -> Published:
    """The tool as clients see it."""
    return Published(
        name=tool.name,
        title=tool.title,
        description=tool.description,
        input_schema=_with_controls(tool, schemas.input) if tool.writes else schemas.input,
        output_schema=output_schema(schemas.output),
        annotations=hints(reads_only=not tool.writes, destructive=tool.writes and tool.risk is not Risk.LOW),
    )


def hints(*, reads_only: bool, destructive: bool = False, open_world: bool = True) -> dict[str, bool]:
    """MCP's four hints. Idempotent is always true: a repeated call is answered from the first (semantics.md I-4)."""
    return {
        "readOnlyHint": reads_only,
        "destructiveHint": destructive,
        "idempotentHint": True,
        "openWorldHint": open_world,
    }


def _with_controls(tool: Tool, schema: Mapping[str, Any]) -> dict[str, Any]:
    controls = {"idempotency_key": _IDEMPOTENCY_KEY, "reason": _REASON, "evidence": _EVIDENCE}
    if tool.previewer is not None:
        controls["dry_run"] = _DRY_RUN
    return {**schema, "properties": {**schema.get("properties", {}), **controls}}
