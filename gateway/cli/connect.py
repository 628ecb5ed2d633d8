"""`connect`: how each client is told of the gateway, with the key in a variable and never in the clear."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli.invocation import AsJson, AsName, Invocation, opened_store
from gateway.model import Kind

SERVER = "holdgate"
"""What the server is called in a client: short, and of letters only, because clients build tool names with it."""
KEY = "HOLDGATE_KEY"
TASK = "HOLDGATE_TASK"


class Client(StrEnum):
    """The clients whose configuration is known."""

    CLAUDE = "claude"
    CODEX = "codex"
    GEMINI = "gemini"
    INSPECTOR = "inspector"
    CURSOR = "cursor"
    VSCODE = "vscode"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one client is set up: a command to run, or a file to write."""

    command: str | None = None
    file: str | None = None
    content: dict[str, Any] | None = None
    note: str | None = None


def connect(
    ctx: typer.Context,
    client: Annotated[Client, typer.Argument(help="Which client.")],
    as_name: AsName = None,
    json_output: AsJson = False,
) -> None:
    """Print how to connect a client as one of the principals whose key is kept. Changes nothing."""
    from gateway.cli.output import emit, say
    from gateway.cli.whoami import kept_key, key_file, the_only_kept

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        name = as_name or the_only_kept(home, store, Kind.AGENT)
    kept_key(home, name)
    export = f'export {KEY}="$(cat {key_file(home, name)})"'
    recipe = recipe_for(client, home.url)
    if json_output:
        described = {"client": str(client), "principal": name, "url": home.url, "export": export}
        emit(described | {"command": recipe.command, "file": recipe.file, "content": recipe.content})
        return
    if client is Client.JSON:
        emit(recipe.content)
        return
    say(f"# {name}'s key, for the shell that starts the client:", export, "")
    if recipe.command:
        say(recipe.command)
    else:
        say(f"# {recipe.file}", json.dumps(recipe.content, indent=2))
    if recipe.note:
        say("", f"# {recipe.note}")


def recipe_for(client: Client, url: str) -> Recipe:
    """The exact words a client wants to hear; see `docs/cli.md` for the versions they were tried with.

    The task's header is only sent where a client falls back to nothing when the variable is not set: a literal
    `${HOLDGATE_TASK}` would throw all work of all users into one task (semantics.md I-16).
    """
    match client:
        case Client.CLAUDE:
            return Recipe(
                f"claude mcp add --transport http {SERVER} {url}"
                f" --header 'Authorization: Bearer ${{{KEY}}}' --header 'Holdgate-Task: ${{{TASK}:-}}'",
                note=f"Set {TASK} to name the piece of work; without it, a task ends when the client falls silent.",
            )
        case Client.CODEX:
            return Recipe(
                f"codex mcp add {SERVER} --url {url} --bearer-token-env-var {KEY}",
                note="Codex names its thread on every call, and that is the task.",
            )
        case Client.GEMINI:
            return Recipe(f"gemini mcp add --transport http --header 'Authorization: Bearer ${{{KEY}}}' {SERVER} {url}")
        case Client.INSPECTOR:
            return Recipe(
                f"npx @modelcontextprotocol/inspector --cli {url} --transport http"
                f' --header "Authorization: Bearer ${KEY}" --method tools/list',
                note="The shell puts the key into the command; other users of this machine may see it while it runs.",
            )
        case Client.CURSOR:
            return Recipe(
                file=".cursor/mcp.json",
                content={"mcpServers": {SERVER: {"url": url, "headers": _bearer(f"${{env:{KEY}}}")}}},
            )
        case Client.VSCODE:
            asked = {"type": "promptString", "id": "holdgate-key", "description": "Holdgate key", "password": True}
            server = {"type": "http", "url": url, "headers": _bearer("${input:holdgate-key}")}
            return Recipe(file=".vscode/mcp.json", content={"inputs": [asked], "servers": {SERVER: server}})
        case Client.JSON:
            return Recipe(content={"url": url, "headers": _bearer(f"${{{KEY}}}")})


def _bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}
