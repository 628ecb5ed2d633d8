"""One projection of a JSON Schema to what every known client takes (docs/clients.md).

Clients fail badly on schemas: one union at a root makes a whole server vanish, one null in a type list is
rewritten, and limits beside `type` never reach the model. So what goes out is the small subset they all read, and
each limit is said again in words. A schema that does not fit stops the gateway at load, not an agent in the field.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

from gateway.errors import StartupError
from gateway.tools import rules
from gateway.tools.rules import MAX_BYTES, MAX_LEVELS, Finding, Part, Rule, Severity
from gateway.wording import counted

Schema: TypeAlias = dict[str, Any]

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
    """A schema cannot be put into the portable subset.

    Attributes:
        findings: every place in it that some client would break on.
    """

    def __init__(self, findings: Sequence[Finding]) -> None:
        self.findings = tuple(findings)
        first, *others = (StartupError(finding.sentence, remedy=finding.remedy) for finding in findings)
        super().__init__(first.message, remedy=first.remedy, others=tuple(others))


def project(schema: dict[str, Any], *, tool: str = "", result: bool = False, levels: int = MAX_LEVELS) -> Schema:
    """`schema` in the portable subset; arguments as for `examine`.

    Raises:
        NotPortable: naming each property, what is there, and the client that would break.
    """
    projected, findings = examine(schema, tool=tool, result=result, levels=levels)
    if faults := [finding for finding in findings if finding.rule.severity is Severity.ERROR]:
        raise NotPortable(faults)
    return projected


def examine(
    schema: dict[str, Any], *, tool: str, result: bool = False, levels: int = MAX_LEVELS
) -> tuple[Schema, list[Finding]]:
    """`schema`, as pydantic wrote it, in the portable subset, and everything about it that breaks a rule.

    References are inlined, null unions dropped, constants become enums, limits are repeated in words, titles and
    defaults go. Of a result only types and words remain: an answer that was cut or masked must still be valid.

    Args:
        tool: named in the findings.
        result: whether it is a result's schema: objects stay open, limits and enums are said in words only.
        levels: how deep properties may lie inside properties.
    """
    projection = _Projection(schema.get("$defs", {}), tool, result, levels)
    projected = projection.node(schema, "", 0)
    if projected and projected["type"] != "object":
        projection.find(rules.NO_OBJECT, "", "is not an object")
    if (size := compact_size(projected)) >= MAX_BYTES:
        projection.find(rules.SIZE, "", f"takes {size} bytes of schema")
    return projected, projection.findings


class _Projection:
    """One walk through a schema. Where a rule is broken the walk goes on beside it, with nothing in that place."""

    def __init__(self, definitions: dict[str, Any], tool: str, result: bool, levels: int) -> None:
        self._definitions = definitions
        self._tool = tool
        self._result = result
        self._levels = levels
        self._inlining: list[str] = []
        self.findings: list[Finding] = []

    def find(self, rule: Rule, path: str, what: str) -> Schema:
        part = Part.RESULT if self._result else Part.ARGUMENTS
        self.findings.append(Finding(rule, self._tool, part, path, what, rule.remedy))
        return {}

    def node(self, schema: dict[str, Any], path: str, level: int) -> Schema:
        """`schema`, found at `path`, with `level` layers of properties above it; nothing if it cannot go out."""
        if "$ref" in schema:
            return self._inlined(schema, path, level)
        if len(parts := schema.get("allOf", [])) == 1:
            rest = {name: value for name, value in schema.items() if name != "allOf"}
            return self.node({**parts[0], **rest}, path, level)
        if path == "" and any(union in schema for union in (*_UNIONS, "allOf")):
            return self.find(rules.ROOT_UNION, path, "is a union")
        for union in _UNIONS:
            if union in schema:
                return self._single(schema, union, path, level)
        for keyword in (*_UNTRANSLATABLE, "allOf"):
            if keyword in schema:
                return self.find(rules.KEYWORD, path, f"needs `{keyword}`")
        return self._typed(schema, path, level)

    def _inlined(self, schema: dict[str, Any], path: str, level: int) -> Schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        if name not in self._definitions:
            return self.find(rules.DANGLING, path, f"refers to {schema['$ref']!r}")
        if name in self._inlining:
            return self.find(rules.RECURSION, path, "contains itself")
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        self._inlining.append(name)
        try:
            return self.node({**self._definitions[name], **beside}, path, level)
        finally:
            self._inlining.pop()

    def _single(self, schema: dict[str, Any], union: str, path: str, level: int) -> Schema:
        """The one arm of a union that is not null: `X | None` means that the field may be left out."""
        arms = [arm for arm in schema[union] if arm.get("type") != "null"]
        if len(arms) != 1:
            return self.find(rules.UNION, path, "may be one of several types")
        beside = {key: value for key, value in schema.items() if key not in (union, "discriminator", "title")}
        return self.node({**arms[0], **beside}, path, level)

    def _typed(self, schema: dict[str, Any], path: str, level: int) -> Schema:
        kind = schema.get("type")
        choices = [schema["const"]] if "const" in schema else schema.get("enum")
        if choices is not None and not all(isinstance(choice, str) for choice in choices):
            return self.find(rules.ENUM, path, "is an enum of other things than strings")
        if choices is not None:
            kind = "string"
        if not isinstance(kind, str) or kind == "null":
            return self.find(rules.NO_TYPE, path, "has no single type")
        projected: Schema = {"type": kind}
        said = [schema["description"].strip()] if path and schema.get("description") else []
        said += in_words(schema)
        said += ["One of: " + ", ".join(choices) + "."] if choices is not None and self._result else []
        if text := " ".join(sentence if sentence.endswith((".", "!", "?")) else f"{sentence}." for sentence in said):
            projected["description"] = text
        if not self._result:
            projected |= {"enum": list(choices)} if choices is not None else {}
            projected |= _kept_limits(schema, kind)
            if "pattern" in schema and "pattern" not in projected:
                self.find(rules.PATTERN, path, f"has a pattern that JavaScript reads otherwise, `{schema['pattern']}`")
            if path and not path.endswith("[]") and not schema.get("description"):
                self.find(rules.UNDESCRIBED, path, "is not described")
        if kind == "object":
            projected |= self._object(schema, path, level)
        if kind == "array":
            projected |= self._array(schema, path, level)
        return projected

    def _array(self, schema: dict[str, Any], path: str, level: int) -> Schema:
        if not isinstance(schema.get("items"), dict) or not schema["items"]:
            return self.find(rules.LIST_OF_ANYTHING, path, "is a list of anything")
        if self._result and _nullable(schema["items"]):
            return self.find(rules.NULL_ITEM, f"{path}[]", "may be null")
        return {"items": self.node(schema["items"], f"{path}[]", level)}

    def _object(self, schema: dict[str, Any], path: str, level: int) -> Schema:
        members: dict[str, Any] = schema.get("properties", {})
        if schema.get("additionalProperties", False) is not False and not self._result:
            return self.find(rules.OPEN_MEMBERS, path, "takes members of any name")
        if members and level >= self._levels:
            return self.find(rules.DEPTH, path, f"lies deeper than {self._levels} levels")
        required = [name for name in schema.get("required", []) if not _nullable(members.get(name, {}))]
        projected: Schema = {"properties": {}}
        for name, member in members.items():
            place = _join(path, name)
            if not _PROPERTY.fullmatch(name):
                self.find(rules.MEMBER_NAME, place, "has a name outside [A-Za-z0-9_.-]{1,64}")
            if not self._result and name in schema.get("required", []) and name not in required:
                self.find(rules.REQUIRED_NULL, place, "is required but may be null")
            projected["properties"][name] = self.node(member, place, level + 1)
        projected |= {"required": required} if required else {}
        return projected if self._result else projected | {"additionalProperties": False}


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
        case int(low), None:
            said.append(f"At least {counted(low, 'character')}.")
        case None, int(high):
            said.append(f"At most {counted(high, 'character')}.")
        case int(low), int(high):
            said.append(f"{low} to {high} characters." if low != high else f"Exactly {counted(low, 'character')}.")
    for keyword, words in (("minItems", "At least"), ("maxItems", "At most")):
        if keyword in schema:
            said.append(f"{words} {counted(schema[keyword], 'item')}.")
    for keyword, words in (
        ("minimum", "At least {}."),
        ("maximum", "At most {}."),
        ("exclusiveMinimum", "More than {}."),
        ("exclusiveMaximum", "Less than {}."),
        ("multipleOf", "A multiple of {}."),
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
