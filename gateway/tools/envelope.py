"""The envelope: how one `Outcome` looks on the wire, and the schema it always satisfies (semantics.md I-14, T-2).

Clients show their model either the text or the structured half of a result, and not the same one; so there is one
envelope, it holds every fact, and it is valid against the published schema whatever happened.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from pydantic_core import PydanticSerializationError, to_json

from gateway.frozen import statically_frozen
from gateway.invisible import CONTROLS, FORMATTING, SURROGATES
from gateway.outcome import Outcome, Retry, Status

MAX_DATA_BYTES: Final = 32 * 1024
"""Of one result's `data`, and likewise of its `diff`, as compact JSON: about 10,000 tokens."""
MAX_SENTENCE: Final = 2_000
"""Characters of `message` and of `next`."""

RESULT_LEVELS: Final = 3
"""How deep properties may lie inside properties of `data`."""

_INVISIBLE: Final = re.compile(f"(?![\\t\\n])[{CONTROLS}{FORMATTING}{SURROGATES}]")
"""What a reader cannot see but a model still reads; newlines and tabs lay a text out, and stay."""
_HIDDEN: Final = re.compile(f"[{CONTROLS}{FORMATTING}]")
_HIDDEN_ESCAPED: Final = re.compile(r"\\[ubfr]")
"""Together the same in compact JSON, whose newlines and tabs are escapes; those two may stay."""
# Tried in this order until the result fits: characters kept of a string, items kept of a list.
_CUTS: Final = ((8_000, None), (2_000, None), (500, None), (500, 200), (500, 50), (200, 20), (200, 5))

_FIELDS: Final[dict[str, dict[str, Any]]] = {
    "status": {
        "type": "string",
        "enum": [status.value for status in Status],
        "description": "How the call ended. Only done and replayed mean that it happened.",
    },
    "action_id": {"type": "string", "description": "Names this call in get_action, cancel_action and evidence."},
    "diff": {
        "type": "array",
        "description": "What a dry run would change: field, before, after, and how certain that is.",
        "items": {
            "type": "object",
            "properties": {"field": {"type": "string"}, "certainty": {"type": "string"}},
            "required": ["field", "certainty"],
        },
    },
    "code": {"type": "string", "description": "Stable reason for anything but success."},
    "message": {"type": "string", "description": "What happened, in one sentence."},
    "next": {"type": "string", "description": "What to do now."},
    "retry": {
        "type": "string",
        "enum": [retry.value for retry in Retry],
        "description": "Whether calling again can help: yes, later, changed (only a different call), no.",
    },
    "retry_after_ms": {"type": "integer", "description": "Milliseconds to wait before calling again."},
    "expires_at": {"type": "string", "description": "Until when a held action waits for its approval."},
    "original_status": {"type": "string", "description": "Of a replay: how the first call ended."},
    "key_source": {"type": "string", "description": "Where the idempotency key came from."},
    "rules": {"type": "array", "items": {"type": "string"}, "description": "The policy rules that decided."},
    "truncated": {"type": "boolean", "description": "True when data or diff was cut to fit."},
}


@statically_frozen
class Envelope:
    """One outcome as it goes out."""

    members: dict[str, Any]
    text: str
    """The members as compact JSON: the text block that says the same as the structured content."""


def envelope_of(outcome: Outcome) -> Envelope:
    """The flat envelope, without members that say nothing.

    `data` loses invisible characters and null members. Above `MAX_DATA_BYTES` its strings are shortened, the longest
    first, then its lists; when that is not enough it is left out. Either way `truncated` is true.
    """
    members = _members(outcome, outcome.data, outcome.diff, outcome.message, outcome.next)
    text = _as_it_is(members)
    if text is None:
        members = _fit_to_be_seen(outcome)
        text = as_text(members)
    return Envelope(members, text)


def to_wire(outcome: Outcome) -> dict[str, Any]:
    """The members of the envelope."""
    return envelope_of(outcome).members


def as_text(value: Mapping[str, Any]) -> str:
    """Plain JSON, spelled compactly."""
    return to_json(value).decode()


def _members(outcome: Outcome, data: Any, diff: Any, message: str | None, next: str | None) -> dict[str, Any]:
    members: dict[str, Any] = {
        "status": outcome.status.value,
        "action_id": outcome.action_id,
        "data": data,
        "diff": diff,
        "code": outcome.code,
        "message": message,
        "next": next,
        "retry": outcome.retry.value if outcome.retry else None,
        "retry_after_ms": outcome.retry_after_ms,
        "expires_at": outcome.expires_at,
        "original_status": outcome.original_status,
        "key_source": outcome.key_source,
        "rules": list(outcome.rules) or None,
    }
    return {name: value for name, value in members.items() if value is not None}


def _as_it_is(members: dict[str, Any]) -> str | None:
    """What most envelopes are: small, and without anything to take away. None when this one may not be."""
    try:
        spelled = to_json(members, inf_nan_mode="null")
    except PydanticSerializationError:
        return None
    longest = max(len(members.get("message", "")), len(members.get("next", "")))
    if len(spelled) > MAX_DATA_BYTES or longest > MAX_SENTENCE:
        return None
    text = spelled.decode()
    return None if "null" in text or _hides_something(text) else text


def _hides_something(spelled: str) -> bool:
    """Whether this JSON may hold what a reader cannot see. Of ASCII, only DEL stands in it without an escape."""
    if _HIDDEN_ESCAPED.search(spelled):
        return True
    plain = spelled.isascii() and "\x7f" not in spelled
    return not plain and _HIDDEN.search(spelled) is not None


def _fit_to_be_seen(outcome: Outcome) -> dict[str, Any]:
    data, data_cut = _fitted(_clean(outcome.data))
    diff, diff_cut = _fitted(_clean(outcome.diff, keep_null=True))
    members = _members(outcome, data, diff, _sentence(outcome.message), _sentence(outcome.next))
    return members | ({"truncated": True} if data_cut or diff_cut else {})


def whole(data: Mapping[str, Any]) -> dict[str, Any]:
    """`data` of a resource: cleaned as in an envelope, and never cut."""
    cleaned: dict[str, Any] = _clean(data)
    return cleaned


def cleaned_block(block: Mapping[str, Any]) -> dict[str, Any]:
    """A block that lies beside the envelope, its text without what a reader would not see. It is whole, never cut."""
    return {
        name: cleaned_block(part) if isinstance(part, Mapping) else _seen(name, part) for name, part in block.items()
    }


def output_schema(data: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The schema that every envelope satisfies, held, refused and failed ones included.

    Args:
        data: the schema of `data`, types and words only; None when `data` may be any object.
    """
    about = dict(data) if data is not None else {"type": "object", "properties": {}}
    # Never required: what was cut, held or refused has none of it.
    properties = {
        "status": _FIELDS["status"],
        "action_id": _FIELDS["action_id"],
        "data": about,
        **{name: field for name, field in _FIELDS.items() if name not in ("status", "action_id")},
    }
    return {"type": "object", "properties": properties, "required": ["status", "action_id"]}


def visible(text: str) -> str:
    """`text` without the characters a human reader would not see; newlines and tabs stay."""
    return _INVISIBLE.sub("", text)


def _seen(name: str, part: Any) -> Any:
    return visible(part) if name == "text" and isinstance(part, str) else part


def _sentence(text: str | None) -> str | None:
    return None if text is None else _shortened(visible(text), MAX_SENTENCE)


def _clean(value: Any, *, keep_null: bool = False) -> Any:
    """Plain JSON with visible text only. Null members are dropped: a schema of single types has no null."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, Mapping):
        cleaned = {visible(str(name)): _clean(member, keep_null=keep_null) for name, member in value.items()}
        return cleaned if keep_null else {name: member for name, member in cleaned.items() if member is not None}
    if isinstance(value, (list, tuple)):
        return [_clean(item, keep_null=keep_null) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


def _fitted(value: Any) -> tuple[Any, bool]:
    """`value` within `MAX_DATA_BYTES`, and whether it had to be cut; None when nothing useful would remain."""
    if value is None or _size(value) <= MAX_DATA_BYTES:
        return value, False
    for characters, items in _CUTS:
        shorter = _cut(value, characters, items)
        if _size(shorter) <= MAX_DATA_BYTES:
            return shorter, True
    return None, True


def _cut(value: Any, characters: int, items: int | None) -> Any:
    if isinstance(value, str):
        return _shortened(value, characters)
    if isinstance(value, dict):
        return {name: _cut(member, characters, items) for name, member in value.items()}
    if isinstance(value, list):
        return [_cut(item, characters, items) for item in value[:items]]
    return value


def _shortened(text: str, characters: int) -> str:
    return text if len(text) <= characters else text[: characters - 1] + "…"


def _size(value: Any) -> int:
    return len(to_json(value))
