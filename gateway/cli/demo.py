"""`demo`: the Acme sandbox behind a gateway, and the story that plays in it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.invocation import DEMO_FOLDER


def demo(
    who: Annotated[
        str, typer.Argument(metavar="WHO", help="With --play: who is the agent, `script` or `claude`.")
    ] = "script",
    play: Annotated[
        bool,
        typer.Option(
            "--play",
            help="Play the story: in the running demo, or in one of its own where that has moved money already.",
        ),
    ] = False,
    data: Annotated[
        Path, typer.Option("--data", metavar="FOLDER", help="The demo's folder; made if missing.")
    ] = DEMO_FOLDER,
    port: Annotated[
        int, typer.Option("--port", metavar="PORT", min=0, max=65535, help="Where the demo's gateway listens.")
    ] = 8420,
) -> None:
    """Run Acme, a sandbox company, behind a gateway; or play the story of an agent in it."""
    if who not in ("script", "claude") or (who == "claude" and not play):
        raise typer.BadParameter("Choose `script` or `claude`, with --play.", param_hint="WHO")
    if play:
        from gateway.demo.play import play as play_story

        raise typer.Exit(play_story(data, who))
    from gateway.demo.run import run_demo

    raise typer.Exit(run_demo(data, port))
