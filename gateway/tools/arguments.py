"""The arguments of a call, validated: strict, and each complaint names its argument (semantics.md I-3, I-5)."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeAlias, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from gateway import canonical
from gateway.connector import Tool
from gateway.errors import Refusal
from gateway.frozen import statically_frozen
from gateway.model import ID_PATTERN, Call, Carried, Mode
from gateway.tools.published import CONTROLS, MAX_EVIDENCE, MAX_KEY, MAX_REASON, MIN_KEY

ExplicitKey: TypeAlias = tuple[str, str]
"""Where the key came from (meta, header, argument or natural) and its text."""

_KEY: Final = re.compile(rf"[\x20-\x7e]{{{MIN_KEY},{MAX_KEY}}}")
_NO_INTEGER: Final = ("int_type", "int_from_float", "int_parsing")
_MAX_COMPLAINTS: Final = 6
_MAX_COMPLAINT: Final = 200

Model = TypeVar("Model", bound=BaseModel)


@statically_frozen
class Resolved:
    """A call whose tool is known and whose arguments are valid."""

    tool: Tool
    args: BaseModel
    arguments: dict[str, Any]
    """After defaults, as plain JSON, in the model's field order."""
    spelled: str
    """They, as canonical JSON."""
    given: frozenset[str]
    """Names the caller passed itself, control arguments left out."""
    mode: Mode
    explicit_key: ExplicitKey | None
    """None for reads, and for writes whose key the gateway has to derive (semantics.md I-4)."""
    reason: str | None
    evidence: tuple[str, ...]


def resolve_arguments(tool: Tool, call: Call) -> Resolved:
    """Split the control arguments off, validate the rest, and say what the caller asked for.

    Raises:
        Refusal: `invalid_arguments`, `conflicting_keys` or `dry_run_unsupported`.
    """
    given = dict(call.arguments)
    # A read has no control arguments: there only `dry_run` is known, so that it can be refused in its own words.
    controls = {name: given.pop(name, None) for name in (CONTROLS if tool.writes else ("dry_run",))}
    mode = _mode(tool, controls["dry_run"], call.carried)
    args = validate(tool.input_model, tool.name, given)
    arguments = args.model_dump(mode="json", by_alias=True)
    return Resolved(
        tool=tool,
        args=args,
        arguments=arguments,
        spelled=_spelled(tool.name, arguments),
        given=frozenset(given),
        mode=mode,
        explicit_key=_explicit_key(tool, args, controls["idempotency_key"], call.carried) if tool.writes else None,
        reason=_reason(tool.name, controls.get("reason")),
        evidence=_evidence(tool.name, controls.get("evidence")),
    )


def validate(model: type[Model], tool: str, arguments: Mapping[str, Any]) -> Model:
    """`arguments` as `model`, strictly, as JSON: "5" is no integer, and "2026-11-21" is a date.

    Raises:
        Refusal: `invalid_arguments`, naming each wrong argument and what was expected, never its value.
    """
    try:
        return model.model_validate_json(_as_json(arguments), strict=True)
    except ValidationError as error:
        complaints = error.errors(include_url=False, include_input=False, include_context=False)
    known = [field.alias or name for name, field in model.model_fields.items()]
    # A body may hold ten thousand wrong names, and to look for what each could have meant would take seconds.
    told = complaints[:_MAX_COMPLAINTS]
    said = [_complaint(str(complaint["type"]), complaint["loc"], complaint["msg"], known) for complaint in told]
    more = f" And {len(complaints) - len(told)} more." if len(complaints) > len(told) else ""
    raise _invalid(tool, " ".join(said) + more)


def _as_json(arguments: Mapping[str, Any]) -> str | bytes:
    try:
        return to_json(arguments)
    except PydanticSerializationError:
        return json.dumps(arguments)  # in which the model finds half of a surrogate pair, and says so


def _complaint(kind: str, location: Iterable[str | int], message: str, known: list[str]) -> str:
    path = _path(location)
    if kind == "missing":
        return f"`{path}` is required."
    if kind in _NO_INTEGER:
        return f'`{path}` must be a whole number, written in digits only: 5, not 5.0 or "5".'
    if kind == "extra_forbidden":
        close = get_close_matches(path, known, n=1)
        return f"`{path}` is not an argument" + (f"; did you mean `{close[0]}`?" if close else ".")
    return f"`{path}`: {message[:_MAX_COMPLAINT].rstrip('.')}." if path else f"{message[:_MAX_COMPLAINT].rstrip('.')}."


def _path(location: Iterable[str | int]) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".")
    # The caller chose this name when it is an unknown one, and it goes back into a sentence that a model reads.
    return re.sub(r"[^A-Za-z0-9_.\-\[\]]", "?", text[:64])


def _invalid(tool: str, said: str) -> Refusal:
    return Refusal("invalid_arguments", f"The arguments of {tool} are not valid. {said}")


def _spelled(tool: str, arguments: dict[str, Any]) -> str:
    try:
        return canonical.dumps(arguments).decode()
    except canonical.NotCanonical:
        _refuse_inexact(tool, arguments)
        raise


def _refuse_inexact(tool: str, value: Any, path: str = "") -> None:
    """RFC 8785 writes doubles, so an integer that a double cannot hold has no fingerprint (semantics.md I-5)."""
    if isinstance(value, dict):
        for name, member in value.items():
            _refuse_inexact(tool, member, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _refuse_inexact(tool, item, f"{path}[{index}]")
    elif isinstance(value, int) and abs(value) > canonical.LARGEST:
        raise _invalid(tool, f"`{path}` must lie between -(2^53-1) and 2^53-1.")


def _mode(tool: Tool, dry_run: Any, carried: Carried) -> Mode:
    if dry_run is not None and not isinstance(dry_run, bool):
        raise _invalid(tool.name, "`dry_run` must be true or false.")
    if not (dry_run or carried.preview):
        return Mode.RUN
    if tool.previewer is None:
        what = "has no preview" if tool.writes else "changes nothing, so there is nothing to preview"
        raise Refusal("dry_run_unsupported", f"{tool.name} {what}; nothing was done.")
    return Mode.PREVIEW


def _explicit_key(tool: Tool, args: BaseModel, argument: Any, carried: Carried) -> ExplicitKey | None:
    named = (("meta", carried.meta_key), ("header", carried.header_key), ("argument", argument))
    keys = [(source, text) for source, text in named if text is not None]
    for source, text in keys:
        if not (isinstance(text, str) and _KEY.fullmatch(text)):
            raise _invalid(
                tool.name,
                f"The idempotency key ({source}) must be {MIN_KEY} to {MAX_KEY} printable ASCII characters.",
            )
    if len({text for _, text in keys}) > 1:
        sources = " and ".join(source for source, _ in keys)
        raise Refusal("conflicting_keys", f"Different idempotency keys were given by {sources}; nothing was done.")
    if keys:
        return keys[0]
    if tool.natural_keyer is not None:
        return "natural", f"{tool.name}:{tool.natural_keyer(args)}"
    return None


def _reason(tool: str, reason: Any) -> str | None:
    if reason is None or (isinstance(reason, str) and len(reason) <= MAX_REASON):
        return reason.strip() or None if reason else None
    raise _invalid(tool, f"`reason` must be a string of at most {MAX_REASON} characters.")


def _evidence(tool: str, evidence: Any) -> tuple[str, ...]:
    if evidence is None:
        return ()
    if (
        isinstance(evidence, list)
        and len(evidence) <= MAX_EVIDENCE
        and all(isinstance(cited, str) and ID_PATTERN.fullmatch(cited) for cited in evidence)
    ):
        return tuple(dict.fromkeys(evidence))
    raise _invalid(tool, f"`evidence` must be a list of at most {MAX_EVIDENCE} action_ids of earlier reads.")
