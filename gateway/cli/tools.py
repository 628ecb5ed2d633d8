"""`tools`: what is on offer, and exactly what agents are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.invocation import AsJson, Invocation, catalogue_of
from gateway.cli.lint import lint
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.connector import Tool
    from gateway.tools.published import Published

app = typer.Typer(no_args_is_help=True, help="The tools on offer.")


@app.command("ls")
def ls(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Show every loaded tool, whoever may call it."""
    from gateway.cli.output import emit, table

    tools = catalogue_of(Invocation.of(ctx).home()).tools.values()
    if json_output:
        emit([_described(tool) for tool in tools])
    else:
        rows = ((tool.name, tool.effect, tool.risk, tool.title, tool.schema_hash[:12]) for tool in tools)
        table(("name", "effect", "risk", "title", "hash"), rows)


@app.command("show")
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="A tool's name.")],
    json_output: AsJson = False,
) -> None:
    """Show one tool: what it is, what it takes and gives, and the hash that pins it."""
    import json

    from gateway.cli.output import emit, say
    from gateway.tools import own_tools

    catalogue = catalogue_of(Invocation.of(ctx).home())
    own = own_tools.PUBLISHED.get(name)
    if name not in catalogue.tools and own is None:
        known = ", ".join([*catalogue.tools, *own_tools.PUBLISHED])
        raise HoldgateError(f"There is no tool {name}. There are: {known}.")
    published = own or catalogue.published(name)
    about = _described(catalogue.tools[name]) if own is None else {"name": name, "title": published.title}
    about |= _schemas(published)
    if json_output:
        emit(about)
        return
    say(f"{published.name}: {published.title}", published.description, "")
    for key in ("effect", "risk", "host", "credential", "preview", "lookup", "sensitive", "hash"):
        if key in about:
            say(f"{key:<12} {json.dumps(about[key]) if isinstance(about[key], list | bool) else about[key]}")
    for key in ("input_schema", "output_schema"):
        say("", key, json.dumps(about[key], indent=2))


app.command("lint")(lint)


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "effect": str(tool.effect),
        "risk": str(tool.risk),
        "connector": tool.connector.name,
        "host": tool.connector.base_url,
        "credential": tool.connector.credential,
        "preview": tool.previewer is not None,
        "lookup": tool.looker is not None,
        "sensitive": sorted(tool.sensitive),
        "timeout_seconds": tool.timeout,
        "hash": tool.schema_hash,
    }


def _schemas(published: Published) -> dict[str, Any]:
    return {
        "description": published.description,
        "annotations": dict(published.annotations),
        "input_schema": dict(published.input_schema),
        "output_schema": dict(published.output_schema),
    }
