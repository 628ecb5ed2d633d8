"""The witness: every request that reached Acme, written down before anything is done about it."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from typing import Any

from starlette.requests import Request

from gateway.demo.acme.state import Record, now

READING = frozenset({"GET", "HEAD", "OPTIONS"})


class Journal:
    """Arrivals, in order, in the company's own database. Header values are not kept, so no credential is."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self._changed = asyncio.Condition()

    async def arrived(self, request: Request, body: bytes) -> int:
        """Write the arrival down, durably against kill -9, and give its number."""
        seq = self._database.execute(
            "INSERT INTO journal (time, method, path, query, header_names, idempotency_key, body, mutating)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                now(),
                request.method,
                request.url.path,
                request.url.query,
                json.dumps(sorted(request.headers)),
                request.headers.get("idempotency-key"),
                body.decode("utf-8", "replace"),
                request.method not in READING,
            ),
        ).lastrowid
        assert seq is not None
        async with self._changed:
            self._changed.notify_all()
        return seq

    def answered(self, seq: int, status: int) -> None:
        """Note the status that goes out; an arrival whose connection is cut keeps none."""
        self._database.execute("UPDATE journal SET status = ? WHERE seq = ?", (status, seq))

    def entries(self) -> list[Record]:
        """All arrivals, oldest first; `body` parsed where it is JSON."""
        return [
            {
                **dict(row),
                "header_names": json.loads(row["header_names"]),
                "body": _parsed(row["body"]),
                "mutating": bool(row["mutating"]),
                "committed": bool(row["committed"]),
            }
            for row in self._database.execute("SELECT * FROM journal ORDER BY seq")
        ]

    async def wait_for(self, count: int) -> None:
        """Return once at least `count` arrivals are written down."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._count() >= count)

    def clear(self) -> None:
        """Forget all arrivals; numbers go on from where they were."""
        self._database.execute("DELETE FROM journal")

    def _count(self) -> int:
        count: int = self._database.execute("SELECT count(*) FROM journal").fetchone()[0]
        return count


def _parsed(body: str) -> Any:
    try:
        return json.loads(body) if body else None
    except ValueError:
        return body
