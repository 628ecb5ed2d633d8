"""What the ledger's lines are searched by, as it is written on the command line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from gateway.cli.invocation import keyring_of
from gateway.errors import CODES, HoldgateError

if TYPE_CHECKING:
    from gateway.ledger_line import LedgerLine
    from gateway.settings import Home
    from gateway.store.sqlite import SqliteStore
    from gateway.store.transaction import Transaction

_AGO = re.compile(r"^([1-9][0-9]{0,8})([smhd])$")
_SECONDS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_AT_ONCE = 1_000
"""Lines that are read, and held, at once."""


def check_names(home: Home, store: SqliteStore, principal: str | None, code: str | None) -> None:
    """A misspelled name matches nothing, which reads as if nothing had happened. A tool may be one of former days."""
    people = [person.id for person, _ in store.look(lambda tx: tx.people.all(home.settings.tenant))]
    for what, given, known in (("principal", principal, people), ("code", code, CODES)):
        if given is not None and given not in known:
            close = get_close_matches(given, known, n=1)
            where = "`holdgate keys ls`" if known is people else "docs/codes.md"
            raise HoldgateError(
                f"There is no {what} {given}. " + (f"Did you mean {close[0]}?" if close else f"See {where}.")
            )


def matching(store: SqliteStore, wanted: dict[str, Any]) -> Iterator[list[LedgerLine]]:
    """The lines, some at a time: an export of a long ledger neither fills the memory, nor holds the database."""

    def look(tx: Transaction) -> list[LedgerLine]:
        return list(tx.ledger.lines(after=after, limit=_AT_ONCE, **wanted))

    after = 0
    while lines := store.look(look):
        yield lines
        if len(lines) < _AT_ONCE:
            return
        after = lines[-1].seq


def tasks(home: Home, store: SqliteStore, name: str) -> list[str]:
    """The ids of a task: what it was called by a client is on the ledger as a keyed hash alone."""
    from gateway.identify import tasks_named

    people = store.look(lambda tx: [person for person, _ in tx.people.all(home.settings.tenant)])
    return [name, *tasks_named(keyring_of(home), people, name)]


def moment_of(text: str, now: int) -> int:
    """Milliseconds since the epoch."""
    if ago := _AGO.match(text):
        return now - int(ago[1]) * _SECONDS[ago[2]] * 1000
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        raise HoldgateError(f"{text!r} is no time. Write `15m`, `24h`, `7d`, or an RFC 3339 time.") from None
    return int((parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() * 1000)
