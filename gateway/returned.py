"""What a connector returned, as an answer may carry it: only what its tool declares, and no more than fits."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from gateway.connector import Output, Tool
from gateway.content import fits, spelled, text_size
from gateway.frozen import statically_frozen
from gateway.model import Surface
from gateway.tool import content_of


@statically_frozen
class Returned:
    """The two halves of an answer."""

    data: dict[str, Any]
    """The declared fields, as JSON."""
    content: tuple[Mapping[str, Any], ...]
    """What lies beside them, as MCP spells it."""


def returned(tool: Tool, output: Output) -> Returned:
    """Shape what `tool` gave back.

    Raises:
        AnswerRefused: there is too much of it.
        TypeError: it is not what the tool declares.
    """
    data = declared(tool, output)
    if tool.surface is Surface.RESOURCE:
        # Handed over whole, where a tool's data would be cut to fit.
        # As a text in JSON, which spells its quotes a second time.
        fits(text_size(json.dumps(data, ensure_ascii=False)))
    return Returned(data, spelled(content_of(output)))


def declared(tool: Tool, output: Output) -> dict[str, Any]:
    """The fields that `tool` declares, as JSON; a richer kind of its output is handed over without what is richer.

    Raises:
        TypeError: it is not what the tool declares.
    """
    model = tool.output_model
    if not isinstance(output, model):
        raise TypeError(f"the connector returned {type(output).__name__}, not {model.__name__}")
    # The declared model's own serializer, where `model_dump` would take that of what was returned.
    data: dict[str, Any] = model.__pydantic_serializer__.to_python(output, mode="json", exclude_none=True)
    return data
