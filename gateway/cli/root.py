"""`holdgate`: the options before every verb, and the last boundary, where errors become one sentence each."""

from __future__ import annotations

import sys
import traceback
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway import __version__
from gateway.cli import (
    approvals,
    backup,
    call,
    connect,
    demo,
    doctor,
    initialise,
    keys,
    ledger,
    new,
    policy,
    secret,
    serve,
    switches,
    tools,
)
from gateway.cli import resolve as resolving
from gateway.cli.inert import inert
from gateway.cli.invocation import ExitCode, Invocation
from gateway.cli.mistyped import WrongUsage, in_our_words
from gateway.errors import HoldgateError, StartupError


class Boundary(TyperGroup):
    """Tells our own errors in one clean line each, on stderr."""

    def invoke(self, ctx: Any) -> Any:
        """Run the verb."""
        try:
            return super().invoke(ctx)
        except WrongUsage as wrong:
            wrong.message = in_our_words(wrong)
            raise
        except HoldgateError as failed:
            if ctx.params.get("debug"):
                traceback.print_exc()
            raise typer.Exit(_told(failed)) from None


def _told(failed: HoldgateError) -> ExitCode:
    if not isinstance(failed, StartupError):
        print(f"holdgate: {inert(str(failed))}", file=sys.stderr)
        return ExitCode.REFUSED
    for problem in failed.problems:
        print(f"holdgate: {inert(str(problem))}", file=sys.stderr)
    return ExitCode.STARTUP


app = typer.Typer(
    cls=Boundary,
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="The tool gateway between agents and systems of record. `holdgate demo` shows it, and `holdgate init` begins"
    " one of your own.",
    epilog="Exit codes: 0 done, 1 refused or failed, 2 wrong usage, 3 wrong settings or data folder.",
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"holdgate {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    ctx: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", metavar="FILE", help="Settings file. Default: $HOLDGATE_CONFIG, else ./holdgate.yaml."
        ),
    ] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    ctx.obj = Invocation.from_options(config, debug=debug)


app.command("init")(initialise.init)
app.add_typer(new.app, name="new")
app.command("doctor", short_help="Check everything a start depends on.")(doctor.doctor)
app.command("serve")(serve.serve)
app.command("demo", short_help="A sandbox company behind a gateway.")(demo.demo)
app.command("backup", short_help="Copy the data folder while it is in use.")(backup.backup)
app.command("connect", short_help="Print how a client connects.")(connect.connect)
app.add_typer(tools.app, name="tools")
app.add_typer(policy.app, name="policy")
# What it does not know it is given, to say how a tool's arguments are written.
app.command("call", context_settings={"ignore_unknown_options": True, "allow_extra_args": True})(call.call)
app.add_typer(approvals.app, name="approvals")
app.add_typer(ledger.app, name="ledger")
app.add_typer(keys.app, name="keys")
app.add_typer(secret.app, name="secret")
app.add_typer(switches.kill, name="kill")
app.add_typer(switches.resume, name="resume")
app.command("resolve", short_help="Settle an outcome that nobody knows.")(resolving.resolve)


def main() -> None:
    """Run the command line, and exit with an `ExitCode`."""
    try:
        app()
    except Exception as broken:
        if "--debug" in sys.argv:
            raise
        print(
            f"holdgate: This is a fault of Holdgate itself ({type(broken).__name__}). Run it again with --debug before"
            " the verb, and report what it shows.",
            file=sys.stderr,
        )
        sys.exit(ExitCode.REFUSED)
