"""`keys`: who may present themselves, and with which key (semantics.md A-3, A-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.invocation import AsJson, AsName, Invocation, opened_store
from gateway.cli.whoami import NAME, acting
from gateway.errors import HoldgateError
from gateway.ledger_line import Event
from gateway.model import Kind, Principal, Role
from gateway.wording import counted

if TYPE_CHECKING:
    from gateway.store.people import KeyRecord
    from gateway.store.transaction import Transaction

app = typer.Typer(no_args_is_help=True, help="Principals and their keys.")


def _name(text: str) -> str:
    if not NAME.match(text):
        raise typer.BadParameter("Use a-z, 0-9, dot, dash and underscore, at most 64.")
    return text


Name = Annotated[str, typer.Argument(metavar="NAME", callback=_name, help="The principal's name.")]


@app.command("create")
def create(
    ctx: typer.Context,
    name: Name,
    kind: Annotated[
        Kind | None, typer.Option("--kind", help="agent, unless given. Changes only while no key is active.")
    ] = None,
    group: Annotated[
        list[str] | None, typer.Option("--group", metavar="GROUP", help="A group of policies; may be repeated.")
    ] = None,
    role: Annotated[
        list[Role] | None, typer.Option("--role", help="A duty; may be repeated. caller, unless given.")
    ] = None,
    owner: Annotated[
        str | None, typer.Option("--owner", metavar="NAME", help="Who answers for an agent; never approves it.")
    ] = None,
    days: Annotated[
        int | None, typer.Option("--days", metavar="DAYS", min=1, max=3650, help="Until the key expires; else never.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Keep the key in the data folder, and do not print it.")] = False,
    as_name: AsName = None,
    json_output: AsJson = False,
) -> None:
    """Make a key, and its principal if it is new. The key is shown once. Options given change an existing principal."""
    from gateway.cli.output import emit, say
    from gateway.identity.api_keys import create_key
    from gateway.setup import keep_or_revoke

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        by = acting(home, store, as_name)

        def make(tx: Transaction) -> tuple[Principal, str, list[str]]:
            before = _known(tx, home.settings.tenant, name)
            base = before or Principal(home.settings.tenant, name, Kind.AGENT)
            wanted = Principal(
                base.tenant,
                name,
                kind or base.kind,
                groups=frozenset(group) if group else base.groups,
                roles=frozenset(role) if role else base.roles,
                owner=owner or base.owner,
            )
            if wanted != before:
                _check_kind(before, wanted, tx)
                _check_duties(wanted)
                _check_owner(wanted, tx)
                tx.people.put(wanted)
                tx.ledger.append(Event.KEY, change="principal", by=by, **_described(wanted))
            return wanted, create_key(tx, wanted, by=by, days=days), _changes(before, wanted)

        principal, token, changes = store.transact(make)
        kept = str(keep_or_revoke(home, store, name, token, by=by)) if keep else None
    for change in changes:
        typer.echo(f"Changed {name}: {change}.", err=True)
    if json_output:
        emit({**_described(principal), "id": token.split("_")[1], "key": None if kept else token, "kept": kept})
    elif kept:
        say(f"Kept the key of {name} in {kept}.")
    else:
        say(token)
        typer.echo("This key is shown once. Hand it over by a safe way; only its hash is stored.", err=True)


def _changes(before: Principal | None, after: Principal) -> list[str]:
    """What is other than it was: who meant a new key only should see that a person changed, too."""
    if before is None:
        return []
    old, new = _described(before), _described(after)
    return [f"{what} was {_shown(old[what])} and is {_shown(new[what])}" for what in new if old[what] != new[what]]


def _shown(value: object) -> str:
    return (", ".join(value) if isinstance(value, list) else str(value or "")) or "none"


def _known(tx: Transaction, tenant: str, name: str) -> Principal | None:
    """The principal of this name; None: nobody has it yet."""
    for person, enabled in tx.people.all(tenant):
        if person.id == name:
            if not enabled:
                raise HoldgateError(f"{name} is disabled. Let it in first: `holdgate keys enable {name}`.")
            return person
    return None


def _check_kind(before: Principal | None, after: Principal, tx: Transaction) -> None:
    """A key that an agent holds must not turn into a human's, who may approve (semantics.md H-5)."""
    if before is None or before.kind is after.kind:
        return
    active = [key.id for key in tx.people.keys(before.tenant, before.id) if key.usable(tx.now)]
    if active:
        raise HoldgateError(
            f"{before.id} is of kind {before.kind}, and its active keys were handed out to that. Make another"
            f" principal, or revoke them first: `holdgate keys revoke {active[0]}`."
        )


def _check_duties(principal: Principal) -> None:
    """Only humans approve (semantics.md H-5), and whoever runs the gateway does not decide in it (A-5)."""
    if Role.APPROVER in principal.roles and principal.kind is not Kind.HUMAN:
        raise HoldgateError(
            f"Only a human may approve, and {principal.id} is of kind {principal.kind}. Add --kind human."
        )
    if {Role.APPROVER, Role.OPERATOR} <= principal.roles:
        raise HoldgateError("Nobody is approver and operator at once. Make two principals.")


def _check_owner(principal: Principal, tx: Transaction) -> None:
    """A name that nobody has, or no human, would keep nobody from approving what this agent asks for (H-5)."""
    if principal.owner is None:
        return
    owner = tx.people.get(principal.tenant, principal.owner)
    if owner is None:
        raise HoldgateError(
            f"There is no principal {principal.owner}, who is to answer for {principal.id}. Correct --owner, or make"
            f" the owner first: `holdgate keys create {principal.owner} --kind human`."
        )
    if owner.kind is not Kind.HUMAN:
        raise HoldgateError(
            f"{owner.id} is of kind {owner.kind}, and only a human can answer for {principal.id}. Name the one who"
            f" answers for both: `--owner {owner.owner or 'NAME'}`."
        )


def _described(principal: Principal) -> dict[str, object]:
    return {
        "tenant": principal.tenant,
        "principal": principal.id,
        "kind": str(principal.kind),
        "groups": sorted(principal.groups),
        "roles": sorted(map(str, principal.roles)),
        "owner": principal.owner,
    }


@app.command("ls")
def ls(
    ctx: typer.Context,
    everything: Annotated[bool, typer.Option("--all", help="Also keys that are revoked or expired.")] = False,
    json_output: AsJson = False,
) -> None:
    """Show principals and the ids of their active keys, never a key."""
    from gateway.cli.output import emit, moment, table

    home = Invocation.of(ctx).home()
    tenant = home.settings.tenant
    with opened_store(home) as store:
        people = store.look(lambda tx: tx.people.all(tenant))
        known = store.look(lambda tx: tx.people.keys(tenant))
        now = store.now()
    keys = [key for key in known if everything or key.usable(now)]
    listed = [
        {
            **_described(person),
            "enabled": enabled,
            "keys": [
                {
                    "id": key.id,
                    "created_at": moment(key.created_at),
                    "expires_at": moment(key.expires_at),
                    "state": "active" if key.usable(now) else "revoked" if key.revoked_at else "expired",
                }
                for key in keys
                if key.principal == person.id
            ],
        }
        for person, enabled in people
    ]
    if json_output:
        emit(listed)
        return
    table(
        ("principal", "kind", "groups", "roles", "owner", "enabled", "keys"),
        (
            (
                person.id,
                person.kind,
                " ".join(sorted(person.groups)),
                " ".join(sorted(person.roles)),
                person.owner,
                "yes" if enabled else "no",
                ", ".join(key.id + _fate(key, now) for key in keys if key.principal == person.id),
            )
            for person, enabled in people
        ),
    )
    if hidden := len(known) - len(keys):
        typer.echo(f"{counted(hidden, 'revoked or expired key')} not shown; --all shows every key.", err=True)


def _fate(key: KeyRecord, now: int) -> str:
    """What is to be known of a key besides its id."""
    from gateway.cli.output import moment

    if key.usable(now):
        return f" (until {moment(key.expires_at)})" if key.expires_at is not None else ""
    return " (revoked)" if key.revoked_at else " (expired)"


@app.command("revoke")
def revoke(
    ctx: typer.Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, from `keys ls`.")],
    as_name: AsName = None,
) -> None:
    """Make a key useless, from the next dispatch on."""
    from gateway.cli.output import say
    from gateway.identity.api_keys import revoke_key

    home = Invocation.of(ctx).home()
    with opened_store(home) as store:
        by = acting(home, store, as_name)
        if not store.transact(lambda tx: revoke_key(tx, home.settings.tenant, id, by=by)):
            whole = store.look(lambda tx: tx.people.get(home.settings.tenant, id)) is not None
            shut = (
                f" That is a principal: `holdgate keys disable {id}` shuts it out with all its keys." if whole else ""
            )
            raise HoldgateError(f"There is no active key {id}. See `holdgate keys ls`.{shut}")
    say(f"Revoked {id}.")


@app.command("disable")
def disable(ctx: typer.Context, name: Name, as_name: AsName = None) -> None:
    """Shut a principal out, with all its keys."""
    _enable(ctx, name, as_name, enabled=False)


@app.command("enable")
def enable(ctx: typer.Context, name: Name, as_name: AsName = None) -> None:
    """Let a disabled principal in again."""
    _enable(ctx, name, as_name, enabled=True)


def _enable(ctx: typer.Context, name: str, as_name: str | None, *, enabled: bool) -> None:
    from gateway.cli.output import say

    home = Invocation.of(ctx).home()
    tenant, change = home.settings.tenant, "enabled" if enabled else "disabled"
    with opened_store(home) as store:
        by = acting(home, store, as_name)

        def switch(tx: Transaction) -> bool:
            if not tx.people.enable(tenant, name, enabled):
                return False
            tx.ledger.append(Event.KEY, tenant=tenant, principal=name, change=change, by=by)
            return True

        if not store.transact(switch):
            raise HoldgateError(f"There is no principal {name}. See `holdgate keys ls`.")
    say(f"{name} is {change}.")
