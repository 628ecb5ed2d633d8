"""One story that every client plays: list, read, preview, small write, its repeat, held write, get_action, refusals.

An argument `$NAME` stands for the action_id that the step NAME was answered with; each client's player puts it in.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Step = dict[str, Any]
Tool = dict[str, Any]


@dataclass(frozen=True)
class Handed:
    """What a client handed on to its host for one call.

    Attributes:
        text: the first block.
        beside: how many blocks came after it.
    """

    text: str
    structured: dict[str, Any] | None
    is_error: bool
    beside: int


@dataclass(frozen=True)
class Played:
    """What a client made of the whole story.

    Attributes:
        tools: as the client lists them, under their wire names.
        handed: by step.
        raised: by step, the code of the calls for which the client raised an error instead.
    """

    tools: Mapping[str, Tool]
    handed: Mapping[str, Handed]
    raised: Mapping[str, int | str]


SHORT = frozenset({"read", "preview", "write", "held", "later", "mine", "denied", "absent"})
"""The steps for a client that starts a process for each."""

STATUSES = {
    "read": "done",
    "preview": "previewed",
    "write": "done",
    "repeat": "replayed",
    "held": "held",
    "later": "held",
    "mine": "done",
    "denied": "refused",
    "malformed": "refused",
    "rejected": "failed",
}
"""Each step that is answered with an envelope, and the status in it."""

ERRORS = frozenset({"refused", "failed"})


def steps(cents: int) -> list[Step]:
    """The calls in order.

    Args:
        cents: of the small write: another amount for each client tells their effects apart in the journal.
    """
    small = {"invoice": "inv_1001", "cents": cents, "cause": "duplicate"}
    return [
        _step("read", "billing_lookup_invoice", invoice="inv_1001"),
        _step("preview", "billing_refund", **small, dry_run=True),
        _step("write", "billing_refund", **small, reason="A filter was missing.", evidence=["$read"]),
        _step("repeat", "billing_refund", **small, reason="A filter was missing.", evidence=["$read"]),
        _step("held", "billing_refund", invoice="inv_1002", cents=2_600 + cents, cause="damaged"),
        _step("later", "get_action", action_id="$held"),
        _step("mine", "list_my_actions", limit=5),
        _step("denied", "billing_refund", invoice="inv_1003", cents=60_000, cause="goodwill"),
        _step("malformed", "billing_refund", invoice="1001", cents=-1, cause="duplicate"),
        _step("rejected", "billing_refund", invoice="inv_1004", cents=2_400, cause="duplicate"),
        _step("absent", "billing_wire_transfer", cents=1),
    ]


def filled(arguments: Mapping[str, Any], handed: Mapping[str, Handed]) -> dict[str, Any]:
    """`arguments` with the action_ids that they refer to."""

    def fill(value: Any) -> Any:
        if isinstance(value, list):
            return [fill(item) for item in value]
        if isinstance(value, str) and value.startswith("$"):
            structured = handed[value[1:]].structured
            assert structured is not None
            return structured["action_id"]
        return value

    return {name: fill(value) for name, value in arguments.items()}


def _step(name: str, tool: str, **arguments: Any) -> Step:
    return {"name": name, "tool": tool, "arguments": arguments}
