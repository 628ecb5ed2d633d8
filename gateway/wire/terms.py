"""On which terms HTTP carries a message: plain, the type it has, the types its answer may have, the revision it speaks.

The SDK's app asks the same, and of some clients it says only that they failed: in plain text, or in no word at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mcp_types import PROTOCOL_VERSION_META_KEY
from mcp_types.version import KNOWN_PROTOCOL_VERSIONS

from gateway.wire.fields import Fields
from gateway.wire.http_answers import Answer, failure
from gateway.wire.json_rpc import UNSUPPORTED_VERSION
from gateway.wire.messages import id_of

_JSON: Final = "application/json"
_EVENTS: Final = "text/event-stream"
_ENCODING: Final = "content-encoding"


def encoded(fields: Fields) -> Answer | None:
    """The refusal of a body that is not sent as it is, before it is read (RFC 9110, 8.4 and 15.5.16)."""
    said = fields.values.get(_ENCODING)
    if said is None or (said.lower() in ("", "identity") and _ENCODING not in fields.repeated):
        return None
    return failure(415, "Send the body as it is, without `Content-Encoding`.", headers={"accept-encoding": "identity"})


def unmet(fields: Fields, message: Mapping[str, Any]) -> Answer | None:
    """The refusal of a message that does not come on our terms, with what they are.

    Args:
        message: one JSON-RPC message whose `params` are an object, if there are any.
    """
    values, request_id = fields.values, id_of(message)
    if not values.get("content-type", "").lower().startswith(_JSON):
        return failure(415, f"Send the message as `Content-Type: {_JSON}`.", request_id=request_id)
    accepted = {kind.partition(";")[0].strip().lower() for kind in values.get("accept", "").split(",")}
    if not all(accepted & {kind, kind.partition("/")[0] + "/*", "*/*"} for kind in (_JSON, _EVENTS)):
        said = f"An answer is the one or the other: send `Accept: {_JSON}, {_EVENTS}`."
        return failure(406, said, request_id=request_id)
    version = fields.one("mcp-protocol-version")
    if version is None or version in KNOWN_PROTOCOL_VERSIONS or _declares_one(message):
        return None
    return failure(
        400,
        f"This revision of MCP is not spoken here; speak one of {', '.join(KNOWN_PROTOCOL_VERSIONS)}.",
        code=UNSUPPORTED_VERSION,
        request_id=request_id,
        data={"supported": KNOWN_PROTOCOL_VERSIONS, "requested": version},
    )


def _declares_one(message: Mapping[str, Any]) -> bool:
    """Whether the message itself says what it speaks: then the SDK tells those that are spoken in this way."""
    meta = message.get("params", {}).get("_meta")
    return isinstance(meta, dict) and PROTOCOL_VERSION_META_KEY in meta
