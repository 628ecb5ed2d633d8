"""An outcome as the result of `tools/call`: plain JSON, whichever front sends it."""

from __future__ import annotations

from typing import Any

from gateway.model import Outcome
from gateway.tools.envelope import as_text, shown, to_wire


def call_result(outcome: Outcome, *, structured_content: bool = True) -> dict[str, Any]:
    """The envelope as text and as structured content, and after it what the tool showed beside its data.

    Args:
        structured_content: whether the envelope is said a second time, as structured content.
    """
    envelope = to_wire(outcome)
    content = [{"type": "text", "text": as_text(envelope)}, *map(shown, outcome.content)]
    result: dict[str, Any] = {"resultType": "complete", "content": content, "isError": outcome.is_error}
    return result | ({"structuredContent": envelope} if structured_content else {})
