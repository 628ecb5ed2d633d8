"""`tools`: what is on offer, and exactly what agents are told of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.invocation import AsJson, Invocation, catalogue_of
from gateway.cli.lint import lint
from gateway.cli.whoami import principal_named
from gateway.errors import HoldgateError
from gateway.model import Surface

if TYPE_CHECKING:
    from gateway.connector import Tool
    from gateway.tools.published import Published

app = typer.Typer(no_args_is_help=True, help="The tools on offer.")


@app.command("ls")
def ls(
    ctx: typer.Context,
    caller: Annotated[
        str | None, typer.Option("--for", metavar="NAME", help="Those only that policy grants to this principal.")
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Show every loaded tool, resource and prompt, whoever may use it."""
    from gateway.cli.output import emit, table
    from gateway.policy import load

    home = Invocation.of(ctx).home()
    known = catalogue_of(home).tools
    tools = list(known.values())
    if caller is not None:
        visible = load(home.policies, known).visible(principal_named(home, caller))
        tools = [tool for tool in tools if tool.name in visible]
    if json_output:
        emit([_described(tool) for tool in tools])
    else:
        rows = ((tool.name, _kind(tool), tool.risk, tool.title, tool.schema_hash[:12]) for tool in tools)
        table(("name", "effect", "risk", "title", "hash"), rows)


@app.command("show", short_help="Show one tool, resource or prompt, whole.")
def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Its name.")],
    json_output: AsJson = False,
) -> None:
    """Show one tool, resource or prompt: what it is, what it takes and gives, and the hash that pins it."""
    import json

    from gateway.cli.output import emit, say
    from gateway.tools import own_tools

    catalogue = catalogue_of(Invocation.of(ctx).home())
    own = own_tools.PUBLISHED.get(name)
    if name not in catalogue.tools and own is None:
        known = ", ".join([*catalogue.tools, *own_tools.PUBLISHED])
        raise HoldgateError(f"There is no tool {name}. There are: {known}.")
    if own is not None:
        about = {"name": name, "title": own.title} | _schemas(own)
    elif (tool := catalogue.tools[name]).surface is Surface.TOOL:
        about = _described(tool) | _schemas(catalogue.published(name))
    else:
        about = _described(tool) | {"description": tool.description, "listed": dict(catalogue.offer(name).entry)}
    if json_output:
        emit(about)
        return
    say(f"{name}: {about['title']}", about["description"], "")
    for key in ("surface", "effect", "risk", "host", "credential", "preview", "lookup", "sensitive", "hash"):
        if key in about:
            say(f"{key:<12} {json.dumps(about[key]) if isinstance(about[key], list | bool) else about[key]}")
    for key in ("input_schema", "output_schema", "listed"):
        if key in about:
            say("", key, json.dumps(about[key], indent=2))


def _kind(tool: Tool) -> str:
    return tool.effect if tool.surface is Surface.TOOL else tool.surface


app.command("lint")(lint)


def _described(tool: Tool) -> dict[str, Any]:
    return {
        "name": tool.name,
        "title": tool.title,
        "surface": str(tool.surface),
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
