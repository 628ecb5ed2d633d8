"""What policy is asked about a call."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gateway.connector import Tool
from gateway.frozen import statically_frozen
from gateway.model import Evidence, Principal


@statically_frozen
class Inquiry:
    """May this principal make this call? Complete: a decision looks at nothing else, not even at a clock."""

    principal: Principal
    tool: Tool
    arguments: Mapping[str, Any]
    """Valid, after defaults, as plain JSON."""
    given: frozenset[str]
    """The arguments that the caller passed itself."""
    reason: str | None
    evidence: Sequence[Evidence]
    """The cited reads, as the ledger knows them (semantics.md E-1)."""
    task_id: str


def argument(arguments: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """The value at `path`, or None where it, or something on the way to it, is absent."""
    value: Any = arguments
    for name in path:
        if value is None:
            return None
        value = value.get(name)
    return value
