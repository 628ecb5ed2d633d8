"""One projection of a JSON Schema to what every known client takes (clients.md, rules 3-7).

Clients fail badly on schemas: one union at a root makes a whole server vanish, one null in a type list is
rewritten, and limits beside `type` never reach the model. So what goes out is the small subset they all read, and
each limit is said again in words. A schema that does not fit stops the gateway at load, not an agent in the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from gateway.errors import StartupError

MAX_BYTES: Final = 4_000
"""Of an input schema: above this Codex silently strips every description."""
MAX_LEVELS: Final = 2
"""Of properties inside properties; deeper ones are cut by Codex."""

_REF: Final = "#/$defs/"
_PROPERTY: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_UNIONS: Final = ("anyOf", "oneOf")
_UNTRANSLATABLE: Final = ("not", "if", "prefixItems", "patternProperties", "dependentSchemas")
# A regular expression that JavaScript reads alike under its `u` flag; anything else stays in words only.
_ECMA_UNSAFE: Final = re.compile(
    r"""
      \\(?![dDwWsSbBtnrfv\\/.*+?()\[\]{}|^$]|x[0-9A-Fa-f]{2}|u[0-9A-Fa-f]{4})   # an escape that `u` refuses
    | \(\?(?![:=!])                                                              # flags, Python groups, atomic groups
    | [*+?}]\+                                                                   # possessive quantifiers
    | \[\[ | && | --                                                             # set notation
    """,
    re.VERBOSE,
)


class NotPortable(StartupError):
    """A tool's schema cannot be put into the portable subset.

    Attributes:
        tool: the tool's name.
        path: where in its model, e.g. `address.lines[]`.
        reason: what is there.
        breaks: the client that would fail on it.
    """

    def __init__(self, tool: str, path: str, reason: str, breaks: str, remedy: str) -> None:
        self.tool = tool
        self.path = path
        self.reason = reason
        self.breaks = breaks
        super().__init__(f"Tool {tool}: {path or 'the model'} {reason}, which breaks {breaks}.", remedy=remedy)


def project(
    schema: dict[str, Any], *, tool: str = "", output: bool = False, levels: int = MAX_LEVELS
) -> dict[str, Any]:
    """`schema`, as pydantic wrote it, in the portable subset.

    References are inlined, null unions dropped, constants become enums, limits are repeated in words, titles and
    defaults go. With `output` only types and words remain: an answer that was cut or masked must still be valid.

    Args:
        tool: named in the error.
        output: a result's schema: objects stay open, limits and enums are said in words only.
        levels: how deep properties may lie inside properties.

    Raises:
        NotPortable: naming the property, the reason and the client that would break.
    """
    projection = _Projection(schema.get("$defs", {}), tool, output, levels)
    projected = projection.node(schema, "", 0)
    if projected.get("type") != "object":
        raise projection.refusal("", "is not an object", "every client", "Use a model with fields.")
    if (size := compact_size(projected)) >= MAX_BYTES:
        raise projection.refusal(
            "",
            f"takes {size} bytes of schema",
            f"Codex (it strips every description from {MAX_BYTES} bytes on)",
            "Shorten the descriptions, or split the tool.",
        )
    return projected


class _Projection:
    def __init__(self, definitions: dict[str, Any], tool: str, output: bool, levels: int) -> None:
        self._definitions = definitions
        self._tool = tool
        self._output = output
        self._levels = levels
        self._inlining: list[str] = []

    def refusal(self, path: str, reason: str, breaks: str, remedy: str) -> NotPortable:
        return NotPortable(self._tool, path, reason, breaks, remedy)

    def node(self, schema: dict[str, Any], path: str, level: int) -> dict[str, Any]:
        """`schema`, found at `path`, with `level` layers of properties above it."""
        if "$ref" in schema:
            return self._inlined(schema, path, level)
        if len(parts := schema.get("allOf", [])) == 1:
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            return self.node({**parts[0], **rest}, path, level)
        if path == "" and any(union in schema for union in (*_UNIONS, "allOf")):
            raise self.refusal(path, "is a union", "OpenAI (400) and Claude Code (drops the tool)", "Use one model.")
        for union in _UNIONS:
            if union in schema:
                return self._single(schema, union, path, level)
        for keyword in (*_UNTRANSLATABLE, "allOf"):
            if keyword in schema:
                raise self.refusal(path, f"needs `{keyword}`", "Cursor and OpenAI", "Use plain fields and lists.")
        return self._typed(schema, path, level)

    def _inlined(self, schema: dict[str, Any], path: str, level: int) -> dict[str, Any]:
        name = str(schema["$ref"]).removeprefix(_REF)
        if name not in self._definitions:
            raise self.refusal(path, f"refers to {schema['$ref']!r}", "every client", "Define the model locally.")
        if name in self._inlining:
            raise self.refusal(path, "contains itself", "Gemini and Codex", "Flatten it, or page through it.")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        self._inlining.append(name)
        try:
            return self.node({**self._definitions[name], **beside}, path, level)
        finally:
            self._inlining.pop()

    def _single(self, schema: dict[str, Any], union: str, path: str, level: int) -> dict[str, Any]:
        """The one arm of a union that is not null: `X | None` means that the field may be left out."""
        arms = [arm for arm in schema[union] if arm.get("type") != "null"]
        if len(arms) != 1:
            raise self.refusal(path, "may be one of several types", "Cursor (400) and OpenAI", "Give it one type.")
        beside = {key: value for key, value in schema.items() if key not in (union, "discriminator", "title")}
        return self.node({**arms[0], **beside}, path, level)

    def _typed(self, schema: dict[str, Any], path: str, level: int) -> dict[str, Any]:
        kind = schema.get("type")
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if choices is not None and not all(isinstance(choice, str) for choice in choices):
            raise self.refusal(path, "is an enum of other things than strings", "Gemini", "Use strings.")
        if choices is not None:
            kind = "string"
        if not isinstance(kind, str) or kind == "null":
            raise self.refusal(path, "has no single type", "OpenAI and Gemini", "Annotate it with one plain type.")
        projected: dict[str, Any] = {"type": kind}
        said = [schema["description"].strip()] if path and schema.get("description") else []
        said += in_words(schema)
        said += ["One of: " + ", ".join(choices) + "."] if choices is not None and self._output else []
        if text := " ".join(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}." for sentence in said):
            projected["description"] = text
        if not self._output:
            projected |= {"enum": list(choices)} if choices is not None else {}
            projected |= _kept_limits(schema, kind)
        if kind == "object":
            projected |= self._object(schema, path, level)
        if kind == "array":
            if not isinstance(schema.get("items"), dict) or not schema["items"]:
                raise self.refusal(path, "is a list of anything", "OpenAI and Copilot CLI", "Say what it lists.")
            if self._output and _nullable(schema["items"]):
                raise self.refusal(f"{path}[]", "may be null", "Gemini", "Leave missing items out of the list.")
            projected["items"] = self.node(schema["items"], f"{path}[]", level)
        return projected

    def _object(self, schema: dict[str, Any], path: str, level: int) -> dict[str, Any]:
        members: dict[str, Any] = schema.get("properties", {})
        extra = schema.get("additionalProperties", False)
        if extra is not False and not self._output:
            raise self.refusal(path, "takes members of any name", "OpenAI's strict mode", "Name its fields in a model.")
        if members and level >= self._levels:
            raise self.refusal(path, f"lies deeper than {self._levels} levels", "Codex", "Flatten it.")
        for name in members:
            if not _PROPERTY.fullmatch(name):
                raise self.refusal(
                    _join(path, name), "has a name outside [A-Za-z0-9_.-]{1,64}", "Anthropic", "Rename it."
                )
        required = [name for name in schema.get("required", []) if not _nullable(members.get(name, {}))]
        if not self._output and len(required) != len(schema.get("required", [])):
            lost = next(name for name in schema["required"] if name not in required)
            raise self.refusal(
                _join(path, lost),
                "is required but may be null",
                "Gemini",
                "Give it the default None, or drop `| None`.",
            )
        projected: dict[str, Any] = {
            "properties": {name: self.node(member, _join(path, name), level + 1) for name, member in members.items()}
        }
        projected |= {"required": required} if required else {}
        return projected if self._output else projected | {"additionalProperties": False}


def compact_size(schema: Mapping[str, Any]) -> int:
    """Bytes that `schema` takes on the wire."""
    return len(json.dumps(schema, ensure_ascii=False, separators=(",", ":")).encode())


def in_words(schema: dict[str, Any]) -> list[str]:
    """Every limit of one schema node as a sentence, for the model that never sees the keyword."""
    said: list[str] = []
    match schema.get("minLength"), schema.get("maxLength"):
        case None, None:
            pass
        case None, _ if "pattern" in schema:
            pass  # the pattern says it more exactly than the bound that every text has
        case low, None:
            said.append(f"At least {low} characters.")
        case None, high:
            said.append(f"At most {high} characters.")
        case low, high:
            said.append(f"{low} to {high} characters." if low != high else f"Exactly {low} characters.")
    for keyword, words in (
        ("minimum", "At least {}."),
        ("maximum", "At most {}."),
        ("exclusiveMinimum", "More than {}."),
        ("exclusiveMaximum", "Less than {}."),
        ("multipleOf", "A multiple of {}."),
        ("minItems", "At least {} items."),
        ("maxItems", "At most {} items."),
        ("pattern", "Must match `{}`."),
        ("format", "Format: {}."),
    ):
        if keyword in schema:
            said.append(words.format(schema[keyword]))
    if schema.get("uniqueItems"):
        said.append("No item twice.")
    return said


def _kept_limits(schema: dict[str, Any], kind: str) -> dict[str, Any]:
    """The limits that clients understand as keywords; formats and open ends are left to the words."""
    kept: dict[str, Any] = {
        keyword: schema[keyword]
        for keyword in ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems")
        if keyword in schema
    }
    if kind == "integer":
        kept |= {"minimum": schema["exclusiveMinimum"] + 1} if "exclusiveMinimum" in schema else {}
        kept |= {"maximum": schema["exclusiveMaximum"] - 1} if "exclusiveMaximum" in schema else {}
    if "pattern" in schema and not _ECMA_UNSAFE.search(schema["pattern"]):
        kept["pattern"] = schema["pattern"]
    return kept


def _nullable(schema: dict[str, Any]) -> bool:
    return schema.get("type") == "null" or any(
        arm.get("type") == "null" for union in _UNIONS for arm in schema.get(union, [])
    )


def _join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
