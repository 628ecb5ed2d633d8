"""`secret`: credentials in the local vault. A value goes in, and never comes out here (semantics.md C-5)."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, AsName, Invocation, opened_store
from gateway.errors import HoldgateError

if TYPE_CHECKING:
    from gateway.settings import Home
    from vault.local import LocalVault

app = typer.Typer(no_args_is_help=True, help="Credentials in the local vault.")

Ref = Annotated[str, typer.Argument(metavar="REF", help="Such as `kv/billing/refunds#token`.")]


@app.command("set")
def set_(ctx: typer.Context, ref: Ref, as_name: AsName = None) -> None:
    """Store a credential, asked for without echo or read from stdin."""
    from gateway.cli.output import say
    from vault.reference import Reference

    home = Invocation.of(ctx).home()
    reference, vault, by = Reference.parse(ref), _vault(home), _by(home, as_name)
    if sys.stdin.isatty():
        value = typer.prompt(f"Value of {reference}", hide_input=True, confirmation_prompt=True)
    else:
        value = sys.stdin.read().rstrip("\r\n")
    version = vault.set(reference, value)
    _record(home, by, "secret_set", str(reference), version)
    say(f"Stored {reference}, version {version}.")


@app.command("ls")
def ls(ctx: typer.Context, json_output: AsJson = False) -> None:
    """Show the references that have a value."""
    from gateway.cli.output import emit, say

    names = _vault(Invocation.of(ctx).home()).names()
    if json_output:
        emit(names)
    else:
        say(*names)


@app.command("rm")
def rm(ctx: typer.Context, ref: Ref, as_name: AsName = None) -> None:
    """Forget a credential. A running gateway may use it for up to a minute more."""
    from gateway.cli.output import say
    from vault.reference import Reference

    home = Invocation.of(ctx).home()
    reference, by = Reference.parse(ref), _by(home, as_name)
    _vault(home).remove(reference)
    _record(home, by, "secret_removed", str(reference), None)
    say(f"Forgot {reference}.")


def _vault(home: Home) -> LocalVault:
    from gateway.passphrase import passphrase
    from gateway.settings import LocalVaultSettings
    from vault.local import LocalVault

    settings = home.settings.vault
    if not isinstance(settings, LocalVaultSettings):
        raise HoldgateError(
            f"The credentials are in the vault at {settings.address}. Set them there, with the vault's own tools."
        )
    return LocalVault(home.data / settings.file, passphrase(home, settings))


def _by(home: Home, as_name: str | None) -> str:
    """Who acts; asked before anything is changed, so that a change is never left without a name."""
    from gateway.cli.whoami import acting

    with opened_store(home) as store:
        return acting(home, store, as_name)


def _record(home: Home, by: str, change: str, reference: str, version: int | None) -> None:
    from gateway.ledger_line import Event

    tenant = home.settings.tenant
    with opened_store(home) as store:
        store.transact(
            lambda tx: tx.ledger.append(
                Event.CONFIG, tenant=tenant, change=change, credential=reference, version=version, by=by
            )
        )
