"""Who acts: the user of this machine, and the principal whose key they hold."""

from __future__ import annotations

import getpass
import os
import re
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import HoldgateError
from gateway.private import open_to_others

if TYPE_CHECKING:
    from gateway.model import Principal
    from gateway.settings import Home
    from gateway.store.sqlite import SqliteStore

NAME = re.compile(r"^[a-z0-9][a-z0-9._-]{0,63}$")
"""What a principal may be called: it becomes a file name and a word of policies."""


def os_user() -> str:
    """The machine's name for whoever runs this, as `os:NAME`."""
    try:
        return f"os:{getpass.getuser()}"
    except (KeyError, OSError):
        return f"os:{os.getuid()}"


def acting(home: Home, store: SqliteStore, name: str | None) -> str:
    """For the ledger's `by`: the user, and the principal they prove to be when they name one.

    Raises:
        HoldgateError: the named principal's key is not kept here, or is no longer good.
    """
    if name is None:
        return os_user()
    return f"{os_user()} as {signed_in(store, kept_key(home, name)).id}"


def key_file(home: Home, name: str) -> Path:
    """Where the key of a principal is kept for this user.

    Raises:
        HoldgateError: no principal can be called that.
    """
    if not NAME.match(name):
        raise HoldgateError(f"{name!r} is no name of a principal. Use a-z, 0-9, dot, dash and underscore.")
    return home.keys / f"{name}.key"


def kept_names(home: Home) -> list[str]:
    """The principals whose keys are kept."""
    return sorted(file.stem for file in home.keys.glob("*.key"))


def kept_key(home: Home, name: str) -> str:
    """A kept key.

    Raises:
        HoldgateError: there is none, or others can read it.
    """
    file = key_file(home, name)
    try:
        exposed, token = open_to_others(file), file.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError) as missing:
        kept = kept_names(home)
        close = get_close_matches(name, kept, n=1)
        remedy = f"Did you mean {close[0]}?" if close else f"Make one: holdgate keys create {name} --keep"
        raise HoldgateError(
            f"There is no kept key of {name} (kept: {', '.join(kept) or 'none'}). {remedy}"
        ) from missing
    if exposed:
        raise HoldgateError(f"The kept key of {name} is readable by others. Run `chmod 600 {file}`, or make a new one.")
    return token


def signed_in(store: SqliteStore, token: str) -> Principal:
    """The principal behind a key.

    Raises:
        HoldgateError: the key opens nothing, or no longer.
    """
    from gateway.identity.api_keys import check

    principal = store.look(lambda tx: check(tx, token))
    if principal is None:
        raise HoldgateError("That key is unknown, revoked or expired, or its principal is disabled. Use another one.")
    return principal


def the_only_kept(home: Home, store: SqliteStore, kind: str, role: str | None = None) -> str:
    """The one principal of this kind, and role, whose key is kept.

    Raises:
        HoldgateError: there is none, or several.
    """
    known = {
        person.id: person for person, enabled in store.look(lambda tx: tx.people.all(home.settings.tenant)) if enabled
    }
    fitting = [
        name
        for name in kept_names(home)
        if name in known and known[name].kind == kind and (role is None or role in known[name].roles)
    ]
    if len(fitting) == 1:
        return fitting[0]
    what = f"{kind} with the {role} role" if role else kind
    if not fitting:
        flags = f"--kind {kind}" + (f" --role {role}" if role else "")
        raise HoldgateError(f"No key of a {what} is kept here. Make one: holdgate keys create NAME {flags} --keep")
    raise HoldgateError(f"Keys of more than one {what} are kept here. Choose with --as: {', '.join(fitting)}.")


def principal_named(home: Home, name: str) -> Principal:
    """Somebody about whom something is asked; nobody acts.

    Raises:
        HoldgateError: there is nobody of that name.
    """
    from gateway.cli.invocation import opened_store

    with opened_store(home) as store:
        people = {person.id: person for person, _ in store.look(lambda tx: tx.people.all(home.settings.tenant))}
    if name not in people:
        raise HoldgateError(f"There is no principal {name}. There are: {', '.join(people)}.")
    return people[name]
