"""Arguments of a tool, as they are written on the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

Arg = Annotated[list[str] | None, typer.Option("--arg", metavar="NAME=VALUE", help="An argument; may be repeated.")]
JsonArgs = Annotated[
    str | None, typer.Option("--json-args", metavar="FILE", help="Arguments as a JSON object; - reads stdin.")
]


class _Text(str):
    """A value from `--arg`, whose type the tool's schema decides."""


def as_given(pairs: list[str], json_args: str | None) -> dict[str, Any]:
    """The arguments, those of `--arg` still as texts; `typed` makes of them what the tool takes.

    Raises:
        typer.BadParameter: they cannot be read.
    """
    given: dict[str, Any] = {}
    if json_args is not None:
        try:
            text = sys.stdin.read() if json_args == "-" else Path(json_args).read_text(encoding="utf-8")
            given = json.loads(text)
        except OSError as wrong:
            raise typer.BadParameter(
                f"{json_args} cannot be read: {wrong.strerror}.", param_hint="--json-args"
            ) from None
        except ValueError as wrong:
            raise typer.BadParameter(f"That is no readable JSON: {wrong}.", param_hint="--json-args") from None
        if not isinstance(given, dict):
            raise typer.BadParameter("Give one JSON object.", param_hint="--json-args")
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise typer.BadParameter(f"{pair!r} is not NAME=VALUE, as in --arg invoice=inv_1001.", param_hint="--arg")
        given[name] = _Text(value)
    return given


def typed(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Texts as the schema's types; the gateway itself judges names and values.

    Raises:
        typer.BadParameter: a text is nothing of its type.
    """
    return {
        name: _of_its_type(name, value, schema) if isinstance(value, _Text) else value for name, value in given.items()
    }


def _of_its_type(name: str, value: _Text, schema: Mapping[str, Any]) -> Any:
    text = str(value)
    wanted = schema.get("properties", {}).get(name, {}).get("type", "string")
    try:
        match wanted:
            case "integer":
                return int(text)
            case "number":
                return float(text)
            case "boolean":
                return {"true": True, "false": False}[text]
            case "array" if not text.startswith("["):
                return text.split(",")
            case "array" | "object":
                return json.loads(text)
    except (ValueError, KeyError):
        raise typer.BadParameter(f"{name} is of type {wanted}, and {text!r} is not.", param_hint="--arg") from None
    return text
