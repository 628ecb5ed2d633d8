"""One JSON-RPC message as it comes in, over HTTP or a pipe: read strictly, or refused (semantics.md I-5, T-4).

A client waits for the answer that has the id of its request, over a pipe perhaps for ever. So the id is looked for in
what is refused, too.

In the arguments of a call integers may be larger than elsewhere: whoever validates those says best what is allowed, and
which argument it is. They are read exactly, and no other value ever stands in for one.
"""

from __future__ import annotations

import json
import re
from typing import Any, Final, TypeAlias, TypeGuard

from pydantic_core import to_json

from gateway.strict_json import MAX_BYTES, BadJson, LargeInteger, crowded, loads, loads_with_large_integers
from gateway.wire.json_rpc import INVALID_REQUEST, PARSE_ERROR

_CALL: Final = "tools/call"
_ANSWERS: Final = frozenset(("result", "error"))
"""What makes a message an answer."""

ENDS: Final = 512
"""Bytes of both ends of a message that is too long, in which its id is looked for."""

_SCALAR: Final = rb'"\w+"\s*:\s*(?:"[^"\\]*"|-?[0-9]+)'
_BEGUN: Final = re.compile(rb"\s*\{\s*((?:%b\s*,\s*)*)" % _SCALAR)
_ENDED: Final = re.compile(rb"((?:,\s*%b\s*)*)\}\s*\Z" % _SCALAR)
"""Members of the outermost object: in JSON nothing else is behind its first brace, or before its last one."""

Id: TypeAlias = str | int


class BadMessage(ValueError):
    """What came in is no message. `str()` says in one sentence why, and holds nothing of it.

    Attributes:
        code: of the JSON-RPC error; see `json_rpc`.
        id: of the request that is refused; None where there is none, or none for sure.
    """

    def __init__(self, code: int, why: str, id: Id | None) -> None:
        super().__init__(why)
        self.code = code
        self.id = id


def read(body: bytes) -> dict[str, Any]:
    """The one message of `body`, with types that fit, and `params` that are an object where there are any.

    Raises:
        BadMessage: for anything else.
    """
    try:
        message = _value(body)
    except BadJson as bad:
        raise BadMessage(PARSE_ERROR, str(bad), id_of(_guessed(body))) from None
    if not isinstance(message, dict) or message.get("jsonrpc") != "2.0":
        raise _invalid(message, "Send exactly one JSON-RPC 2.0 object.")
    if _is_answer(message):
        _drop_what_is_not_said(message)
    if "id" in message and not _is_id(message["id"]) and not (message["id"] is None and _needs_no_id(message)):
        raise _invalid(message, "`id` must be a string or an integer.")
    if not isinstance(message.get("params", {}), dict):
        if message["params"] is not None:
            raise _invalid(message, "`params` must be an object.")
        del message["params"]
    if "method" in message and not isinstance(message["method"], str):
        raise _invalid(message, "`method` must be a string.")
    if _is_answer(message) == ("method" in message):
        why = "A message is a request or an answer, and not both." if "method" in message else "`method` is missing."
        raise _invalid(message, why)
    return message


def too_long(begun: bytes, ended: bytes) -> BadMessage:
    """The refusal of a message of which no more is at hand than how it began and how it ended.

    Some clients write the id before all that may be long, some behind it.
    """
    first, last = _BEGUN.match(begun[:ENDS]), _ENDED.search(ended[-ENDS:])
    members = re.findall(_SCALAR, first[1] + last[1]) if first and last else []
    return BadMessage(
        PARSE_ERROR, f"The message is larger than {MAX_BYTES} bytes.", id_of(_guessed(b"{%b}" % b",".join(members)))
    )


def _value(body: bytes) -> Any:
    """What `body` spells, within the limits of `strict_json`, the arguments of a call aside."""
    try:
        return loads(body)
    except LargeInteger:
        message = loads_with_large_integers(body)
        if isinstance(message, dict) and message.get("method") == _CALL and isinstance(message.get("params"), dict):
            loads(to_json({**message, "params": {**message["params"], "arguments": None}}))
            return message
        raise


def _invalid(message: Any, why: str) -> BadMessage:
    return BadMessage(INVALID_REQUEST, why, id_of(message))


def id_of(message: Any) -> Id | None:
    """The id under which the sender of `message` waits for an answer; None where there is none, or none for sure.

    What names no method may be an answer itself, to a question of ours that has the same id as a request of theirs.
    """
    if not isinstance(message, dict) or message.get("method") is None:
        return None
    if any(message.get(kind) is not None for kind in _ANSWERS):
        return None
    id = message.get("id")
    if not _is_id(id):
        return None
    intact = str(id).encode("utf-8", "replace").decode() == str(id)
    return id if intact else None


def _is_answer(message: dict[str, Any]) -> bool:
    return not _ANSWERS.isdisjoint(message)


def _drop_what_is_not_said(message: dict[str, Any]) -> None:
    """Whoever has one class for all messages sends a null for each kind that this one is not."""
    kinds = {"method", *_ANSWERS} & message.keys()
    if len(kinds) > 1:
        for kind in kinds:
            if message[kind] is None:
                del message[kind]


def _is_id(id: Any) -> TypeGuard[Id]:
    return isinstance(id, (str, int)) and not isinstance(id, bool)


def _needs_no_id(message: dict[str, Any]) -> bool:
    """Whether a null says what it means: of a notification, and of an error about what had no id."""
    return "error" in message or str(message.get("method")).startswith("notifications/")


def _guessed(body: bytes) -> dict[str, Any] | None:
    """What `body` may have been meant to say, without an id that it says twice; None where it says nothing, or more
    than may be looked through while others wait."""
    if len(body) > MAX_BYTES or crowded(body):
        return None
    try:
        # A tuple of members is no list of values, and shows each of them. Nothing of ours is called for any object.
        members = json.loads(body.decode("utf-8", "surrogateescape"), object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    if not isinstance(members, tuple):
        return None
    twice = [name for name, _ in members].count("id") > 1
    return {name: value for name, value in members if not (twice and name == "id")}
