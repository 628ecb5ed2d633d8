"""`connect`: what to paste, so that a client finds this gateway; the words themselves are `gateway.connect`'s."""

from __future__ import annotations

from typing import Annotated

import typer

from gateway.cli.invocation import AsJson, AsName, Invocation, opened_store
from gateway.connect import PLACES, UNATTENDED, Client, snippet
from gateway.model import Kind

_CODEX_NOTE = "Codex names its thread on every call, and that is the task."

_UNATTENDED_NOTE = "Where nobody is there to be asked, start it so; Holdgate still decides on every call:"


def connect(
    ctx: typer.Context,
    client: Annotated[
        Client, typer.Argument(metavar="CLIENT", help="Which client; `json` is for scripts, and holds the key itself.")
    ],
    as_name: AsName = None,
    json_output: AsJson = False,
) -> None:
    """Print how a client connects, as a principal whose key is kept: the only agent, unless --as. Changes nothing."""
    from gateway.cli.output import emit, say
    from gateway.cli.whoami import kept_key, key_file, the_only_kept

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        name = as_name or the_only_kept(home, store, Kind.AGENT)
    kept_key(home, name)
    file = key_file(home, name)
    text = snippet(client, home.url, file)
    if json_output:
        emit({"client": str(client), "principal": name, "url": home.url, "key_file": str(file), "text": text})
        return
    say(text)
    if client is Client.CODEX:
        say("", f"# {_CODEX_NOTE}")
    if start := UNATTENDED.get(client):
        say("", f"# {_UNATTENDED_NOTE}", f"#   {start} PROMPT")
    if place := PLACES.get(client):
        # On stderr, so that stdout can be written to the client's file as it is.
        typer.echo(f"The above is for {place}. The key of {name} is in {file}.", err=True)
