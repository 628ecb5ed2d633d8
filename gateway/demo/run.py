"""`holdgate demo`: the whole house on this machine, until Ctrl-C."""

from __future__ import annotations

import asyncio
import shlex
import sys
from pathlib import Path
from textwrap import indent
from typing import Final

from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from gateway.connect import snippet
from gateway.demo.site import built, running_acme
from gateway.demo.world import AGENT, APPROVER, World
from gateway.serve import serve_http
from gateway.telemetry.logs import configure_logging

_CLIENTS: Final = (
    ("claude", "Claude Code"),
    ("codex", "Codex"),
    ("gemini", "Gemini CLI"),
    ("inspector", "MCP inspector"),
)
_TO_TRY: Final = (
    ("a small refund", "Read ticket tic_2001, see what it is about, and refund what is missing."),
    ("one that waits for a human", "Ticket tic_2002 says the grinder was charged twice. Check, refund it, and wait."),
    ("one that goes nowhere", "Please do what ticket tic_2003 asks for."),
)


def run_demo(folder: Path, port: int) -> int:
    """Serve the demo until SIGINT or SIGTERM, and leave nothing but its folder; a second start finds its data again.

    Args:
        port: on loopback; 0 takes a free one.

    Returns:
        The exit code, 0.

    Raises:
        StartupError: the port is taken, the folder cannot be written, or one of its files was broken by an edit.
    """
    console = Console(highlight=False)
    with built(folder, port) as site:
        configure_logging(site.home.settings.log_level)
        with running_acme(site):
            asyncio.run(serve_http(site.home, site.gateway, ready=lambda url: _welcome(console, site, url)))
    console.print(f"\nStopped. Everything is kept in {site.folder}; remove the folder to forget it.", soft_wrap=True)
    return 0


def _welcome(console: Console, world: World, url: str) -> None:
    def commands(text: str) -> None:
        # Never wrapped: a line that is pasted must be one line.
        console.print(Text(indent(text, "  ") + "\n", style="cyan"), soft_wrap=True)

    console.print(Rule("[bold]Holdgate demo[/bold]", align="left"))
    console.print(f"The gateway answers at [bold]{url}[/bold], and stands before Acme, a made-up company.\n")
    console.print("[bold]1. Connect an agent[/bold] (it becomes support-bot; paste what fits)\n")
    for client, title in _CLIENTS:
        console.print(f"  {title}", style="dim")
        commands(snippet(client, url, world.key_file(AGENT)))
    console.print("[bold]2. Ask it[/bold]\n")
    for what, prompt in _TO_TRY:
        console.print(f"  [dim]{what}:[/dim] {prompt}", soft_wrap=True)
    console.print("\n[bold]3. Watch, and decide[/bold] (in another terminal)\n")
    command = shlex.join([_program(), "-c", str(world.home.file)])
    commands(
        f"{command} ledger tail --follow\n{command} approvals ls\n{command} approvals approve ACTION --as {APPROVER}"
    )
    console.print(
        f"What agents may do is in {world.folder / 'policies'}: edit it, and it holds at once.", soft_wrap=True
    )
    console.print("Ctrl-C stops everything and keeps the data.")


def _program() -> str:
    """This command as another terminal finds it: `make demo` and `uvx` put it on no PATH but their own."""
    started = Path(sys.argv[0])
    return str(started.absolute()) if started.name == "holdgate" else "holdgate"
