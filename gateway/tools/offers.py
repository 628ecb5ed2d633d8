"""Resources and prompts as clients see them: the entries of their lists, and what completes their arguments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.connector import Tool
from gateway.model import Surface
from gateway.tools.published import ToolSchemas

MAX_COMPLETIONS: Final = 100
"""Of one answer; MCP's own limit."""

_TEXTS: Final = ("string", "integer", "number", "boolean")
_MAX_COMPLETION: Final = 200
# One spelling per value, and none that a double cannot hold.
_INTEGER: Final = re.compile(r"0|-?[1-9][0-9]{0,14}")
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")


@dataclass(frozen=True, slots=True)
class Offer:
    """What a list says of one resource, template of resources, or prompt."""

    name: str
    surface: Surface
    entry: Mapping[str, Any]
    """Its line in the list, as MCP spells it."""
    template: bool = False


def misfits(tool: Tool, schemas: ToolSchemas) -> Iterator[str]:
    """Why a resource or a prompt cannot be asked for as declared: its arguments are texts, and those of its URI."""
    arguments = schemas.input.get("properties", {})
    for name, schema in arguments.items():
        if (kind := schema.get("type")) not in _TEXTS:
            yield f"has an argument {name} of type {kind}, and it arrives as a text"
    for name in tool.completers:
        if name not in arguments:
            yield f"completes {name!r}, which is no argument"
    if tool.address is not None and set(tool.address.names) != set(arguments):
        yield f"has other fields in its Input than there are variables in {tool.address.text}"


def offer(tool: Tool, schemas: ToolSchemas) -> Offer:
    """A resource or a prompt as clients see it."""
    arguments, required = schemas.input.get("properties", {}), schemas.input.get("required", [])
    entry: dict[str, Any] = {"name": tool.name, "title": tool.title, "description": tool.description}
    if tool.address is None:
        said = [{"name": name, "required": name in required} | _in_words(schema) for name, schema in arguments.items()]
        return Offer(tool.name, tool.surface, entry | ({"arguments": said} if said else {}))
    where = "uriTemplate" if tool.address.names else "uri"
    entry |= {where: tool.address.text, "mimeType": tool.mime_type}
    return Offer(tool.name, tool.surface, entry, template=bool(tool.address.names))


def _in_words(schema: Mapping[str, Any]) -> dict[str, str]:
    """What an argument is, for clients that see no schema of it."""
    choices = [f"One of: {', '.join(schema['enum'])}."] if "enum" in schema else []
    said = " ".join([*([schema["description"]] if "description" in schema else []), *choices])
    return {"description": said} if said else {}


def typed(schemas: ToolSchemas, texts: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments that came as texts, as what they are of; what is no such thing stays a text, to be complained of."""
    properties = schemas.input.get("properties", {})
    return {name: _typed(properties.get(name, {}).get("type"), text) for name, text in texts.items()}


def completions(tool: Tool, schemas: ToolSchemas, argument: str, begun: str) -> list[str]:
    """Values of an argument that begin like `begun`, whatever its case; none where there is nothing to choose from."""
    if argument in tool.completers:
        found = [value for value in tool.completers[argument](begun) if isinstance(value, str)]
        return [value for value in found if len(value) <= _MAX_COMPLETION]
    schema = schemas.input.get("properties", {}).get(argument, {})
    choices = ("false", "true") if schema.get("type") == "boolean" else schema.get("enum", ())
    return [choice for choice in choices if choice.lower().startswith(begun.lower())]


def _typed(kind: str | None, text: Any) -> Any:
    if not isinstance(text, str):
        return text
    if kind == "boolean":
        return {"true": True, "false": False}.get(text, text)
    if kind == "integer" and _INTEGER.fullmatch(text):
        return int(text)
    if kind == "number" and _NUMBER.fullmatch(text):
        return float(text)
    return text
