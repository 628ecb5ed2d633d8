"""The verdict on one tool: how it goes out, and every rule that it breaks. Start and `tools lint` ask the same."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel
from pydantic.errors import PydanticInvalidForJsonSchema
from pydantic.json_schema import JsonSchemaMode

from gateway.connector import Tool
from gateway.errors import StartupError
from gateway.model import Risk, Surface
from gateway.tools import own_tools, rules
from gateway.tools.envelope import RESULT_LEVELS
from gateway.tools.offers import Offer, misfits, offer
from gateway.tools.portable import Schema, compact_size, examine
from gateway.tools.published import CONTROLS, Published, ToolSchemas, publish
from gateway.tools.rules import LONG_SECONDS, MAX_BYTES, MAX_DESCRIPTION, Finding, Part, Rule, Severity


@dataclass(frozen=True, slots=True)
class Verdict:
    """What there is to say of one tool.

    Attributes:
        schemas: its own, projected; only of use without errors.
        published: the tool as clients see it; likewise.
        findings: errors and warnings, in the order of the tool.
        file, line: where the tool is declared.
    """

    schemas: ToolSchemas
    published: Published | Offer
    findings: tuple[Finding, ...]
    file: str | None
    line: int | None

    def problems(self) -> list[StartupError]:
        """The errors, as a start is refused with them."""
        return [
            StartupError(finding.sentence, file=self.file, line=self.line, remedy=finding.remedy)
            for finding in self.findings
            if finding.rule.severity is Severity.ERROR
        ]


def judge(tool: Tool) -> Verdict:
    """Look at all of a tool. Never raises for what its author has written."""
    findings = [*_as_declared(tool)]
    arguments = _examined(tool, tool.input_model, findings, "validation")
    # Of a resource or a prompt no client is shown what it gives back.
    shown = findings if tool.surface is Surface.TOOL else []
    result = _examined(tool, tool.output_model, shown, "serialization")
    schemas = ToolSchemas(arguments, result)
    published: Published | Offer
    if tool.surface is Surface.TOOL:
        published = publish(tool, schemas)
        size = compact_size(published.input_schema)
        if size >= MAX_BYTES > compact_size(arguments):
            what = f"takes {size} bytes of schema with the control arguments"
            findings.append(_finding(rules.SIZE, tool, Part.ARGUMENTS, "", what))
    else:
        published = offer(tool, schemas)
        findings += [_finding(rules.TEXTS, tool, Part.TOOL, "", what) for what in misfits(tool, schemas)]
    code = inspect.unwrap(tool.run).__code__
    return Verdict(schemas, published, tuple(findings), code.co_filename, code.co_firstlineno)


def _as_declared(tool: Tool) -> Iterator[Finding]:
    """What can be said before any schema is looked at."""
    if tool.name in own_tools.INPUTS:
        yield _finding(rules.OWN_NAME, tool, Part.TOOL, "", "has the name of a built-in tool")
    if tool.writes and tool.risk is Risk.HIGH and tool.previewer is None:
        remedy = f"Declare one with @{tool.run.__name__}.preview, or lower its risk."
        yield _finding(rules.NO_PREVIEW, tool, Part.TOOL, "", "is a HIGH write without a preview", remedy)
    if len(tool.description) > MAX_DESCRIPTION:
        what = f"has a description of {len(tool.description)} characters; at most {MAX_DESCRIPTION} fit"
        yield _finding(rules.DESCRIPTION, tool, Part.TOOL, "", what)
    if tool.timeout > LONG_SECONDS:
        yield _finding(rules.SLOW, tool, Part.TOOL, "", f"may take {tool.timeout:g} s")
    fields = tool.input_model.model_fields
    for name in CONTROLS:
        if name in fields or name in {field.alias for field in fields.values()}:
            what = "is reserved; the gateway adds it to every write"
            yield _finding(rules.RESERVED, tool, Part.ARGUMENTS, name, what)


def _examined(tool: Tool, model: type[BaseModel], findings: list[Finding], mode: JsonSchemaMode) -> Schema:
    """A model's schema, projected; what breaks a rule is added to `findings`."""
    result = mode == "serialization"
    try:
        schema = model.model_json_schema(mode=mode)
    except PydanticInvalidForJsonSchema as broken:
        what = f"holds a type that has no schema ({str(broken).splitlines()[0].rstrip('.')})"
        findings.append(_finding(rules.NO_SCHEMA, tool, Part.RESULT if result else Part.ARGUMENTS, "", what))
        return {"type": "object", "properties": {}}
    if not result:
        findings.extend(_hidden(tool, schema))
    levels = RESULT_LEVELS if result else rules.MAX_LEVELS
    projected, found = examine(schema, tool=tool.name, result=result, levels=levels)
    findings.extend(found)
    return projected


def _hidden(tool: Tool, schema: dict[str, Any]) -> Iterator[Finding]:
    """Every argument must show in the fingerprint and to the reviewer; what pydantic hides would do neither."""
    members = schema.get("properties", {})
    for name, field in tool.input_model.model_fields.items():
        if field.exclude or "writeOnly" in json.dumps(members.get(field.alias or name, {})):
            yield _finding(rules.HIDDEN, tool, Part.ARGUMENTS, name, "is hidden when it is written down")


def _finding(rule: Rule, tool: Tool, part: Part, path: str, what: str, remedy: str | None = None) -> Finding:
    return Finding(rule, tool.name, part, path, what, remedy or rule.remedy)
