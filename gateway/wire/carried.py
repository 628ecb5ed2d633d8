"""What rides on a call beside its arguments: our own keys, and the claims of known clients (semantics.md I-3, I-16).

Claims are recorded and searchable, and widen no right; each is one printable line of at most 200 characters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.model import Carried
from gateway.strict_json import BadJson, loads

META_KEY: Final = "com.holdgate/idempotency-key"
META_TASK: Final = "com.holdgate/task"
META_DRY_RUN: Final = "com.holdgate/dry-run"
HEADER_KEY: Final = "idempotency-key"
HEADER_TASK: Final = "holdgate-task"
HEADER_DRY_RUN: Final = "holdgate-dry-run"

_CLIENT_INFO: Final = "io.modelcontextprotocol/clientInfo"
_CODEX_TURN: Final = "x-codex-turn-metadata"
_MAX_CLAIM: Final = 200
_MAX_CODEX_TURN: Final = 4_000
# One more than a key may have, so that a longer one is refused and never quietly cut to a valid one.
_MAX_KEY: Final = 256
_NOT_A_PREVIEW: Final = (False, None, "false", "0", "")


def carried_by(
    meta: Mapping[str, Any],
    headers: Mapping[str, str],
    *,
    session: str | None = None,
    client: Mapping[str, Any] | None = None,
) -> Carried:
    """Read what is known out of a request's `_meta` and its HTTP headers, and ignore the rest.

    Args:
        meta: the request's `_meta`.
        headers: with lower-case names; empty on stdio.
        session: the connection's own id, where there is a connection.
        client: `clientInfo` from the handshake; the request's own one comes first.
    """
    return Carried(
        meta_key=_key(meta.get(META_KEY)),
        header_key=_key(headers.get(HEADER_KEY)),
        meta_task=_line(meta.get(META_TASK)),
        header_task=_expanded(headers.get(HEADER_TASK)),
        thread=_line(meta.get("threadId")),
        session=session,
        client_call_id=_line(meta.get("claudecode/toolUseId")) or _line(meta.get("callId")),
        # Only a plain no means that the effect is wanted: a spelling we do not know must not move money (D-2).
        preview=_wants_preview(meta.get(META_DRY_RUN)) or _wants_preview(headers.get(HEADER_DRY_RUN)),
        claims=_claims(meta, headers, client or {}),
    )


def _wants_preview(value: Any) -> bool:
    return (value.strip().lower() if isinstance(value, str) else value) not in _NOT_A_PREVIEW


def _key(value: Any) -> str | None:
    if value is None:
        return None
    # Anything but a string becomes a key that is too short, so that it is refused and not overlooked.
    return value[:_MAX_KEY] if isinstance(value, str) else ""


def _line(value: Any) -> str | None:
    if value is None:
        return None  # as nearly all of it is, in each call
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    text = str(value)[:_MAX_CLAIM]
    if not text.isprintable():
        text = "".join(character for character in text if character.isprintable())
    return text or None


def _expanded(value: str | None) -> str | None:
    # A variable that is not set arrives empty, or as its own name, which would throw everybody's work into one task.
    return None if value is None or "${" in value else _line(value.strip())


def _claims(meta: Mapping[str, Any], headers: Mapping[str, str], client: Mapping[str, Any]) -> dict[str, str]:
    info = meta.get(_CLIENT_INFO)
    known = info if isinstance(info, dict) else client
    turn = _codex_turn(meta[_CODEX_TURN]) if _CODEX_TURN in meta else {}
    claims = {
        "client": known.get("name"),
        "client_version": known.get("version"),
        "user_agent": headers.get("user-agent"),
        "session_id": meta.get("sessionId") or turn.get("session_id"),
        "turn_id": turn.get("turn_id"),
        "model": turn.get("model"),
        "traceparent": meta.get("traceparent") or headers.get("traceparent"),
    }
    return {name: line for name, value in claims.items() if value is not None and (line := _line(value))}


def _codex_turn(value: Any) -> Mapping[str, Any]:
    """Codex sends it as an object or as the text of one."""
    if isinstance(value, str) and len(value) <= _MAX_CODEX_TURN:
        try:
            value = loads(value.encode("utf-8", "replace"))
        except BadJson:
            return {}
    return value if isinstance(value, dict) else {}
