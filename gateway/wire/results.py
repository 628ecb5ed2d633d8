"""What goes out, as plain JSON, whichever front sends it: an outcome as a result, and an outcome as an error."""

from __future__ import annotations

from typing import Any, Final

from pydantic_core import to_json

from gateway.outcome import Outcome
from gateway.tools.envelope import as_text, cleaned_block, envelope_of, to_wire, whole
from gateway.wire.json_rpc import INVALID_PARAMS, NOT_DONE

META_ACTION: Final = "com.holdgate/action-id"
"""Under this name `_meta` holds the action of a resource that was read, or of a prompt: it may be cited as evidence."""


def call_result(outcome: Outcome, *, structured_content: bool = True) -> dict[str, Any]:
    """`tools/call`: the envelope as text and as structured content, and after it what lies beside the data.

    Args:
        structured_content: whether the envelope is said a second time, as structured content.
    """
    envelope = envelope_of(outcome)
    content = [{"type": "text", "text": envelope.text}, *_beside(outcome)]
    result: dict[str, Any] = {"resultType": "complete", "content": content, "isError": outcome.is_error}
    return result | ({"structuredContent": envelope.members} if structured_content else {})


def spelled_call_result(outcome: Outcome, meta: bytes, *, structured_content: bool = True) -> bytes:
    """The same as JSON, put together from the one spelling of its envelope.

    Args:
        meta: its `_meta`, as JSON.
    """
    text = envelope_of(outcome).text
    beside = b"".join(b"," + to_json(block) for block in _beside(outcome))
    return b"".join(
        (
            b'{"resultType":"complete","content":[{"type":"text","text":',
            to_json(text),
            b"}",
            beside,
            b'],"isError":true' if outcome.is_error else b'],"isError":false',
            b',"structuredContent":' + text.encode() if structured_content else b"",
            b',"_meta":',
            meta,
            b"}",
        )
    )


def _beside(outcome: Outcome) -> list[Any]:
    return [block.get("content", block) for block in map(cleaned_block, outcome.content)]


def read_result(outcome: Outcome, uri: str) -> dict[str, Any]:
    """`resources/read`, of an outcome that is done. A client keeps nothing of it: who may read is decided each time.

    A record comes as JSON, and the documents beside it under their own URIs; a text or a file is all there is.
    """
    documents = [cleaned_block(block)["resource"] for block in outcome.content if block["type"] == "resource"]
    if outcome.data or not documents:
        record = {"uri": uri, "mimeType": "application/json", "text": as_text(whole(outcome.data or {}))}
        contents = [record, *documents]
    else:
        contents = [{**document, "uri": uri} for document in documents]
    said = {"resultType": "complete", "contents": contents, "ttlMs": 0, "cacheScope": "private"}
    return said | {"_meta": {META_ACTION: outcome.action_id}}


def prompt_result(outcome: Outcome) -> dict[str, Any]:
    """`prompts/get`, of an outcome that is done."""
    messages = [cleaned_block(block) for block in outcome.content]
    return {"resultType": "complete", "messages": messages, "_meta": {META_ACTION: outcome.action_id}}


def error_of(outcome: Outcome) -> tuple[int, str, dict[str, Any]]:
    """Code, message and data of the error that says why a resource or a prompt is not handed over.

    The message says it all, for clients that show nothing else; the data is the envelope.
    """
    envelope = to_wire(outcome)
    code = INVALID_PARAMS if outcome.code == "invalid_arguments" else NOT_DONE
    why = outcome.code or outcome.status
    said = " ".join([f"{why}:", *(envelope[part] for part in ("message", "next") if part in envelope)])
    return code, said if outcome.action_id in said else f"{said} ({outcome.action_id})", envelope


def input_required(outcome: Outcome) -> dict[str, Any]:
    """The result that is a question, for a client that makes the call again; its state is sealed on the way out."""
    return {
        "resultType": "input_required",
        "inputRequests": {name: dict(question) for name, question in outcome.asks.items()},
        "requestState": outcome.action_id,
    }
