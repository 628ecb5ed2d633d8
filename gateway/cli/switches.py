"""`kill` and `resume`: stops that hold from the next dispatch on, with or without a server (semantics.md T-10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, AsName, Because, Invocation, catalogue_of, opened_store
from gateway.errors import HoldgateError, StartupError
from gateway.ledger_line import Event

if TYPE_CHECKING:
    from gateway.settings import Home
    from gateway.store.sqlite import SqliteStore
    from gateway.store.switches import Scope
    from gateway.store.transaction import Transaction

kill = typer.Typer(no_args_is_help=True, help="Stop calls, from the next dispatch on.")
resume = typer.Typer(no_args_is_help=True, help="Lift a stop.")

Agent = Annotated[str, typer.Argument(metavar="NAME", help="A principal, of any kind.")]
Tool = Annotated[str, typer.Argument(metavar="NAME", help="A tool.")]
Connector = Annotated[str, typer.Argument(metavar="NAME", help="A connector: all its tools.")]


@kill.command("everything")
def kill_everything(ctx: typer.Context, because: Because, as_name: AsName = None) -> None:
    """Stop every call."""
    _stop(ctx, "everything", "", because, as_name)


@kill.command("agent")
def kill_agent(ctx: typer.Context, name: Agent, because: Because, as_name: AsName = None) -> None:
    """Stop every call of one principal."""
    _stop(ctx, "agent", name, because, as_name)


@kill.command("tool")
def kill_tool(ctx: typer.Context, name: Tool, because: Because, as_name: AsName = None) -> None:
    """Stop every call of one tool."""
    _stop(ctx, "tool", name, because, as_name)


@kill.command("connector")
def kill_connector(ctx: typer.Context, name: Connector, because: Because, as_name: AsName = None) -> None:
    """Stop every call to one system of record."""
    _stop(ctx, "connector", name, because, as_name)


@kill.command("ls")
def ls(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Show the stops in force."""
    from gateway.cli.output import emit, moment, say, table

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        stops = store.look(lambda tx: tx.switches.all(home.settings.tenant))
    if json_output:
        emit(
            [
                {
                    "scope": stop.scope,
                    "target": stop.target or None,
                    "because": stop.because,
                    "by": stop.stopped_by,
                    "at": moment(stop.stopped_at),
                }
                for stop in stops
            ]
        )
    elif not stops:
        say("Nothing is stopped.")
    else:
        rows = ((stop.scope, stop.target, moment(stop.stopped_at), stop.stopped_by, stop.because) for stop in stops)
        table(("scope", "target", "since", "by", "because"), rows)


@resume.command("everything", short_help="Lift the stop of every call.")
def resume_everything(ctx: typer.Context, as_name: AsName = None) -> None:
    """Lift the stop of every call; stops of single agents, tools and connectors stay."""
    _resume(ctx, "everything", "", as_name)


@resume.command("agent")
def resume_agent(ctx: typer.Context, name: Agent, as_name: AsName = None) -> None:
    """Lift the stop of a principal."""
    _resume(ctx, "agent", name, as_name)


@resume.command("tool")
def resume_tool(ctx: typer.Context, name: Tool, as_name: AsName = None) -> None:
    """Lift the stop of a tool."""
    _resume(ctx, "tool", name, as_name)


@resume.command("connector")
def resume_connector(ctx: typer.Context, name: Connector, as_name: AsName = None) -> None:
    """Lift the stop of a connector."""
    _resume(ctx, "connector", name, as_name)


def _stop(ctx: typer.Context, scope: Scope, target: str, because: str, as_name: str | None) -> None:
    from gateway.cli.output import say

    home = Invocation.of(ctx).home()
    tenant = home.settings.tenant
    with opened_store(home) as store:
        by = _acting_on(home, store, scope, target, as_name)

        def stop(tx: Transaction) -> None:
            tx.switches.stop(tenant, scope, target, by=by, because=because[:500])
            tx.ledger.append(
                Event.SWITCH,
                tenant=tenant,
                scope=scope,
                target=target or None,
                state="stopped",
                by=by,
                because=because[:500],
            )

        store.transact(stop)
    what = f"{scope} {target}".rstrip()
    say(f"Stopped: {what}. It holds from now on, until `holdgate resume {what}`.")


def _acting_on(home: Home, store: SqliteStore, scope: Scope, target: str, as_name: str | None) -> str:
    """Who acts, once it is sure that the target exists: a stop with a typo in it would protect nobody.

    Raises:
        HoldgateError: there is no such target.
    """
    from gateway.cli.whoami import acting

    known: list[str] | None = None
    if scope == "agent":
        known = [person.id for person, _ in store.look(lambda tx: tx.people.all(home.settings.tenant))]
    elif scope in ("tool", "connector"):
        try:
            catalogue = catalogue_of(home)
        except StartupError as broken:
            # A stop must be possible when the connectors are what is broken.
            typer.echo(f"The name is taken as it is, because the tools do not load: {broken.message}", err=True)
        else:
            names = catalogue.tools if scope == "tool" else [connector.name for connector in catalogue.connectors]
            known = sorted(names)
    if known is not None and target not in known:
        raise HoldgateError(f"There is no {scope} {target}. There are: {', '.join(known) or 'none'}.")
    return acting(home, store, as_name)


def _resume(ctx: typer.Context, scope: Scope, target: str, as_name: str | None) -> None:
    from gateway.cli.output import say
    from gateway.cli.whoami import acting

    home = Invocation.of(ctx).home()
    tenant = home.settings.tenant
    with opened_store(home) as store:
        by = acting(home, store, as_name)

        def lift(tx: Transaction) -> bool:
            if not tx.switches.resume(tenant, scope, target):
                return False
            tx.ledger.append(Event.SWITCH, tenant=tenant, scope=scope, target=target or None, state="resumed", by=by)
            return True

        if not store.transact(lift):
            raise HoldgateError(f"{scope} {target}".rstrip() + " is not stopped. See `holdgate kill ls`.")
    say(f"Resumed: {scope} {target}".rstrip() + ".")
