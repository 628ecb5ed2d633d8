"""`ledger`: what was recorded, told line by line, as one action's story, or proven whole (semantics.md L)."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.invocation import AsJson, Invocation, keyring_of, opened_store
from gateway.errors import StartupError
from gateway.ledger_line import Event, LedgerLine
from gateway.wording import counted

if TYPE_CHECKING:
    from gateway.store.transaction import Transaction

app = typer.Typer(no_args_is_help=True, help="Read the ledger, and verify it.")

_LOOK_SECONDS = 0.25


@app.command("tail")
def tail(
    ctx: typer.Context,
    lines: Annotated[int, typer.Option("--lines", "-n", metavar="LINES", min=0, max=100_000, help="How many.")] = 20,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until Ctrl-C.")] = False,
    json_output: AsJson = False,
) -> None:
    """Show the newest lines. With --json, one object a line."""
    home = Invocation.of(ctx).home()
    tenant = home.settings.tenant
    with opened_store(home) as store, contextlib.suppress(KeyboardInterrupt):
        newest, seen = store.look(
            lambda tx: (
                list(tx.ledger.lines(tenant=tenant, newest_first=True, limit=lines)),
                tx.ledger.head()[0],
            )
        )
        _print_lines(reversed(newest), json_output)
        while follow:
            if store.changed():
                fresh = store.look(partial(_after, seen, tenant))
                seen = fresh[-1].seq if fresh else seen
                _print_lines(fresh, json_output)
            time.sleep(_LOOK_SECONDS)


@app.command("query")
def query(
    ctx: typer.Context,
    tool: Annotated[str | None, typer.Option("--tool", metavar="TOOL", help="Lines about this tool.")] = None,
    principal: Annotated[
        str | None, typer.Option("--principal", metavar="NAME", help="Lines about this principal.")
    ] = None,
    task: Annotated[
        str | None,
        typer.Option("--task", metavar="TASK", help="Lines of this task, by the name a client gave it or by its id."),
    ] = None,
    event: Annotated[Event | None, typer.Option("--event", help="Lines of this event.", case_sensitive=False)] = None,
    code: Annotated[str | None, typer.Option("--code", metavar="CODE", help="Lines with this code.")] = None,
    since: Annotated[
        str | None, typer.Option("--since", metavar="TIME", help="Such as `15m`, `24h`, `7d` ago, or an RFC 3339 time.")
    ] = None,
    until: Annotated[
        str | None, typer.Option("--until", metavar="TIME", help="Lines before this time, written like --since.")
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Show the lines that match every option given, oldest first. With --json, one object a line."""
    from gateway.cli.output import say
    from gateway.cli.search import check_names, matching, moment_of, tasks

    home = Invocation.of(ctx).home()
    tenant = home.settings.tenant
    with opened_store(home) as store:
        check_names(home, store, principal, code)
        now = store.now()
        wanted: dict[str, Any] = {
            "tenant": tenant,
            "tool": tool,
            "principal": principal,
            "task": task and tasks(home, store, task),
            "event": event and str(event),
            "code": code,
            "since": None if since is None else moment_of(since, now),
            "until": None if until is None else moment_of(until, now),
        }
        found = 0
        for lines in matching(store, wanted):
            found += len(lines)
            _print_lines(lines, json_output)
    if not found and not json_output:
        say("No line matches.")


@app.command("show")
def show(
    ctx: typer.Context,
    action: Annotated[str, typer.Argument(metavar="ACTION", help="The action's id, or the beginning of it.")],
    bodies: Annotated[bool, typer.Option("--bodies", help="Decrypt its arguments, context and outcome.")] = False,
    json_output: AsJson = False,
) -> None:
    """Tell the whole story of one action, in order."""
    from gateway.bodies import Kind, opened
    from gateway.cli.output import emit
    from gateway.cli.short_ids import action_id
    from gateway.cli.story import print_story

    home = Invocation.of(ctx).home()
    keyring = keyring_of(home)

    def look(tx: Transaction) -> tuple[str, list[dict[str, Any]], dict[str, Any]]:
        id = action_id(tx, home.settings.tenant, action)
        kinds: tuple[Kind, ...] = ("arguments", "context", "outcome") if bodies else ()
        kept: dict[str, Any] = {kind: opened(tx, keyring, id, kind) for kind in kinds}
        return id, [_facts(line) for line in tx.ledger.lines(action=id)], kept

    with opened_store(home) as store:
        id, lines, kept = store.look(look)
    if json_output:
        emit({"action_id": id, "lines": lines} | ({"bodies": kept} if bodies else {}))
    else:
        print_story(id, lines, kept)


@app.command("unknown", short_help="Show the writes whose outcome nobody knows.")
def unknown(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Show the writes whose outcome nobody knows, oldest first, and who finds out."""
    from gateway.cli.output import emit, moment, say, table

    home = Invocation.of(ctx).home()

    def look(tx: Transaction) -> list[dict[str, Any]]:
        awaited = tx.actions.awaited()
        return [
            {
                "action_id": row.id,
                "tool": row.tool,
                "principal": row.principal,
                "task": row.task,
                "called_at": moment(row.received_at),
                "tried_again_at": moment(awaited.get(row.id)),
            }
            for row in tx.actions.unsettled()
            if row.tenant == home.settings.tenant
        ]

    with opened_store(home) as store:
        found = store.look(look)
    if json_output:
        emit(found)
    elif not found:
        say("No outcome is unknown.")
    else:
        columns = ("action_id", "tool", "principal", "called_at")
        table(
            (*columns, "who finds out"),
            (
                (*(row[name] for name in columns), f"the gateway, at {again}" if again else "an operator")
                for row in found
                for again in (row["tried_again_at"],)
            ),
        )
        say("After a look into the system of record an operator settles one with `holdgate resolve`.")


@app.command("verify")
def verify(
    ctx: typer.Context,
    anchor: Annotated[
        Path | None,
        typer.Option("--anchor", metavar="FILE", help="A copy of checkpoints.notes; else the data folder's own."),
    ] = None,
    json_output: AsJson = False,
) -> None:
    """Verify the ledger, offline. Exits 0 sound, 1 tampered, 2 gap, 3 unanchored, 4 the story makes no sense."""
    from gateway.cli.output import emit, say
    from gateway.ledger.verify import verify as check

    home = Invocation.of(ctx).home()
    keyring = keyring_of(home)
    if anchor is not None:
        _check_anchor(anchor)
    with opened_store(home) as store:
        published = anchor or home.checkpoints
        report = store.look(lambda tx: check(tx, keyring.head_mac, keyring.checkpoint_key.public_key(), published))
    if json_output:
        emit(
            {
                "verdict": report.verdict.name.lower(),
                "lines": report.lines,
                "findings": report.findings,
                "unknown": report.unknown,
            }
        )
    else:
        say(f"{report.verdict.name.lower()}: {counted(report.lines, 'line')}.", *report.findings)
        for id in report.unknown:
            say(f"Unknown outcome: {id}. Settle it with `holdgate resolve`.")
    raise typer.Exit(int(report.verdict))


@app.command("key")
def key(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Print the public key of the checkpoints. Others check their signatures with it, as of C2SP signed notes."""
    from gateway.cli.output import emit, say
    from gateway.ledger.checkpoint import verifier

    public = verifier(keyring_of(Invocation.of(ctx).home()).checkpoint_key.public_key())
    if json_output:
        emit({"verifier": public})
    else:
        say(public)


def _check_anchor(file: Path) -> None:
    """An anchor that says nothing would prove nothing."""
    from gateway.ledger.checkpoint import notes_in

    try:
        if notes_in(file):
            return
        wrong = "There is no checkpoint in this file." if file.exists() else "There is no such file."
    except OSError as unreadable:
        wrong = f"This cannot be read: {unreadable.strerror}."
    remedy = "An anchor is a copy of the data folder's checkpoints.notes that was kept elsewhere. Name that file."
    raise StartupError(wrong, file=str(file), remedy=remedy)


def _after(seen: int, tenant: str, tx: Transaction) -> list[LedgerLine]:
    return list(tx.ledger.lines(after=seen, tenant=tenant))


def _facts(line: LedgerLine) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(line.text)
    return {**facts, "hash": line.hash}


def _print_lines(lines: Iterable[LedgerLine], json_output: bool) -> None:
    from gateway.cli.output import console, emit
    from gateway.cli.story import one_line

    out = console()
    for line in lines:
        if json_output:
            emit(_facts(line))
        else:
            out.print(one_line(_facts(line)))
