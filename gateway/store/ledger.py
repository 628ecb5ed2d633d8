"""The ledger table: append a line to the chain, and read lines back."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any

from gateway import canonical
from gateway.errors import LedgerUnavailable
from gateway.ledger_line import Event, LedgerLine
from gateway.store.rows import Rows

if TYPE_CHECKING:
    from gateway.store.transaction import ChainSealer, Connection

GENESIS = "0" * 64
WRITER = "main"
"""One database file is one chain: BEGIN IMMEDIATE puts every process in line (docs/decisions/0003-one-chain.md)."""

_SEARCHABLE = {name: name for name in ("action", "principal", "tool", "task", "event", "tenant")} | {
    "code": "json_extract(text, '$.code')"
}
"""What lines may be searched by, and how each is found in a line."""


class Ledger:
    """The chain of one store: a line's hash covers its text, which holds the hash before it (semantics.md L-3)."""

    def __init__(self, connection: Connection, now: int, sealer: ChainSealer) -> None:
        self._execute = connection.execute
        self._now = now
        self._sealer = sealer
        self._found: tuple[int, str] | None = None
        self.waiting = Rows(connection, "INSERT INTO ledger (seq, hash, text) VALUES (?, ?, ?)")
        self.unsealed: tuple[int, str] | None = None
        """Sequence number and hash of the last line that this transaction wrote; what is undone sets it back."""

    def append(self, event: Event, **facts: Any) -> LedgerLine:
        """Write one line at the chain's end.

        Args:
            facts: JSON values that may be read by anyone with the file; None values are left out. Never an
                argument or result of a call: those are sealed bodies, to whose hashes a line commits.

        Raises:
            LedgerUnavailable: the head does not bear this gateway's seal.
        """
        seq, previous = self.trusted_head()
        frame = {"v": 1, "seq": seq + 1, "writer": WRITER, "at": self._now, "event": str(event), "prev": previous}
        raw = canonical.dumps_said(facts | frame)
        digest = hashlib.sha256(raw).hexdigest()
        text = raw.decode()
        self.waiting.add((seq + 1, digest, text))
        self.unsealed = seq + 1, digest
        return LedgerLine(seq + 1, digest, text)

    def seal(self) -> None:
        """Write the head that the lines of this transaction lead to: once, before it is committed."""
        if self.unsealed is None:
            return
        seq, digest = self.unsealed
        self._execute(
            "INSERT INTO ledger_head (writer, seq, hash, mac) VALUES (:writer, :seq, :hash, :mac)"
            " ON CONFLICT (writer) DO UPDATE SET seq = :seq, hash = :hash, mac = :mac",
            {"writer": WRITER, "seq": seq, "hash": digest, "mac": self._sealer(seq, digest)},
        )

    def trusted_head(self) -> tuple[int, str]:
        """`head`, if it is this gateway's: a line upon another's, or a signature under it, would vouch for it.

        Raises:
            LedgerUnavailable: the head does not bear this gateway's seal.
        """
        if self.unsealed is not None:
            return self.unsealed
        if self._found is None:
            seq, hash, mac = self.sealed_head() or (0, GENESIS, None)
            if mac is not None and not hmac.compare_digest(self._sealer(seq, hash), mac):
                raise LedgerUnavailable("The ledger's head was changed from outside: run `holdgate ledger verify`.")
            self._found = seq, hash
        return self._found

    def head(self) -> tuple[int, str]:
        """Sequence number and hash of the last line; (0, GENESIS) when there is none."""
        if self.unsealed is not None:
            return self.unsealed
        row = self._execute("SELECT seq, hash FROM ledger_head WHERE writer = ?", (WRITER,)).fetchone()
        return (row["seq"], row["hash"]) if row else (0, GENESIS)

    def touch(self) -> None:
        """Write the head anew, as it is: a disk that takes nothing any more shows only when something is written."""
        # An UPDATE to equal values would not do: SQLite sees that nothing changes, and writes nothing.
        self._execute("INSERT OR REPLACE INTO ledger_head SELECT * FROM ledger_head WHERE writer = ?", (WRITER,))

    def sealed_head(self) -> tuple[int, str, str] | None:
        """Sequence number, hash and MAC of the head, as stored; None in an empty store."""
        row = self._execute("SELECT seq, hash, mac FROM ledger_head WHERE writer = ?", (WRITER,)).fetchone()
        return (row["seq"], row["hash"], row["mac"]) if row else None

    def lines(
        self,
        *,
        after: int = 0,
        since: int | None = None,
        until: int | None = None,
        newest_first: bool = False,
        limit: int | None = None,
        **match: str | Collection[str] | None,
    ) -> Iterator[LedgerLine]:
        """Lines in order of their sequence numbers.

        Args:
            after: only lines with a larger sequence number.
            since: only lines of this time (ms) or later.
            until: only lines before this time (ms).
            limit: at most so many.
            match: values of what is searchable: one, or several of which any will do.
        """
        wanted = {name: value for name, value in match.items() if value is not None}
        unknown = wanted.keys() - _SEARCHABLE
        if unknown:
            raise ValueError(f"not searchable: {sorted(unknown)}")
        conditions = [
            "seq > :after",
            *([] if since is None else ["at >= :since"]),
            *([] if until is None else ["at < :until"]),
            *(_is(name, value) for name, value in wanted.items()),
        ]
        values = {name: value if isinstance(value, str) else json.dumps(list(value)) for name, value in wanted.items()}
        where = " AND ".join(conditions)
        order = "DESC" if newest_first else "ASC"
        sql = f"SELECT seq, hash, text FROM ledger WHERE {where} ORDER BY seq {order}"  # noqa: S608 - names are from _SEARCHABLE
        if limit is not None:
            sql += f" LIMIT {int(limit)}"
        self.waiting.insert()
        for row in self._execute(sql, {"after": after, "since": since, "until": until, **values}):
            yield LedgerLine(row["seq"], row["hash"], row["text"])

    def counted(self, *, after: int, upto: int) -> dict[str, int]:
        """How many lines of each event there are beyond sequence number `after`, and up to `upto`."""
        self.waiting.insert()
        rows = self._execute(
            "SELECT event, COUNT(*) AS lines FROM ledger WHERE seq > ? AND seq <= ? GROUP BY event", (after, upto)
        )
        return {row["event"]: row["lines"] for row in rows}

    def add_checkpoint(self, size: int, note: str) -> None:
        """Keep a signed statement of the chain's first `size` lines."""
        self._execute(
            "INSERT OR REPLACE INTO checkpoints (size, note, made_at) VALUES (?, ?, ?)", (size, note, self._now)
        )

    def checkpoints(self) -> list[tuple[int, str]]:
        """(size, signed note), oldest first."""
        return [(row["size"], row["note"]) for row in self._execute("SELECT size, note FROM checkpoints ORDER BY size")]

    def last_checkpoint(self) -> tuple[int, int]:
        """(size, time in ms) of the newest checkpoint; (0, 0) when there is none."""
        row = self._execute("SELECT size, made_at FROM checkpoints ORDER BY size DESC LIMIT 1").fetchone()
        return (row["size"], row["made_at"]) if row else (0, 0)


def _is(name: str, value: str | Collection[str]) -> str:
    found = _SEARCHABLE[name]
    if isinstance(value, str):
        return f"{found} = :{name}"
    return f"{found} IN (SELECT value FROM json_each(:{name}))"  # noqa: S608 - names are from _SEARCHABLE
