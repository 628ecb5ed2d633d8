"""What Acme knows, in one SQLite file: every question and every change, in domain words.

One connection, used from one event loop and never across an `await`, so each method is atomic by itself.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from gateway.demo.acme import seed

Record: TypeAlias = dict[str, Any]

SCHEMA = """
CREATE TABLE customers (id TEXT PRIMARY KEY, name TEXT, email TEXT COLLATE NOCASE UNIQUE, phone TEXT,
                        shipping_address TEXT, staff_note TEXT, version INTEGER);
CREATE TABLE orders    (id TEXT PRIMARY KEY, customer TEXT, status TEXT, placed_at TEXT, items TEXT);
CREATE TABLE invoices  (id TEXT PRIMARY KEY, "order" TEXT UNIQUE, total_cents INTEGER, currency TEXT, paid_at TEXT);
CREATE TABLE refunds   (id INTEGER PRIMARY KEY, invoice TEXT, cents INTEGER, reason TEXT, reference TEXT, made_at TEXT);
CREATE TABLE tickets   (id TEXT PRIMARY KEY, customer TEXT, "order" TEXT, status TEXT, opened_at TEXT, subject TEXT);
CREATE TABLE replies   (id INTEGER PRIMARY KEY, ticket TEXT, author TEXT, text TEXT, reference TEXT, made_at TEXT);
CREATE TABLE answers   (idempotency_key TEXT PRIMARY KEY, request TEXT, status INTEGER, body TEXT);
CREATE TABLE journal   (seq INTEGER PRIMARY KEY AUTOINCREMENT, time TEXT, method TEXT, path TEXT, query TEXT,
                        header_names TEXT, idempotency_key TEXT, body TEXT, mutating INTEGER,
                        status INTEGER, committed INTEGER DEFAULT 0);
"""

TABLES = ("customers", "orders", "invoices", "refunds", "tickets", "replies", "answers", "journal")


class Rejection(Exception):
    """Acme says no: an HTTP status, a code, and a sentence for whoever called."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


def now() -> str:
    """The time, as RFC 3339 in UTC with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def open_database(folder: Path) -> sqlite3.Connection:
    """Open `folder`/acme.db, made and seeded if it is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    database = sqlite3.connect(folder / "acme.db", isolation_level=None)
    database.row_factory = sqlite3.Row
    database.execute("PRAGMA journal_mode = WAL")
    if database.execute("PRAGMA user_version").fetchone()[0] == 0:
        with transaction(database):
            for statement in SCHEMA.split(";"):
                database.execute(statement)
            seed.plant(database)
            database.execute("PRAGMA user_version = 1")
    return database


@contextmanager
def transaction(database: sqlite3.Connection) -> Iterator[None]:
    """All of the block, or nothing of it."""
    database.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        database.execute("ROLLBACK")
        raise
    database.execute("COMMIT")


class State:
    """The company's records. Every method raises `Rejection` for what a caller got wrong.

    `arrival` is the journal's number of the request: a change marks it committed in its own transaction, so
    that the witness can never disagree with the books, not even after kill -9.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def start_over(self) -> None:
        """Back to the first day: seeded records, an empty journal, no stored answers."""
        with transaction(self._database):
            for table in TABLES:
                self._database.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names, listed above
            self._database.execute("DELETE FROM sqlite_sequence")
            seed.plant(self._database)

    def customers_by_email(self, email: str) -> list[Record]:
        return [_customer(row) for row in self._all("SELECT * FROM customers WHERE email = ?", email)]

    def customer(self, id: str) -> Record:
        return _customer(self._one("customer", id, "SELECT * FROM customers WHERE id = ?"))

    def update_customer(self, arrival: int, id: str, changes: Mapping[str, str], if_match: str | None) -> Record:
        """Set the given fields; only on the version that `if_match` names, when it is given."""
        before = self.customer(id)
        if if_match not in (None, "*", before["etag"]):
            raise Rejection(412, "precondition_failed", f"{id} has changed since that version was read.")
        if any(found["id"] != id for found in self.customers_by_email(changes.get("email", ""))):
            raise Rejection(409, "email_taken", "Another customer has this email address.")
        after = {**before, **changes}
        with self._change(arrival):
            self._database.execute(
                "UPDATE customers SET name = ?, email = ?, phone = ?, shipping_address = ?, version = version + 1"
                " WHERE id = ?",
                (after["name"], after["email"], after["phone"], after["shipping_address"], id),
            )
        return self.customer(id)

    def order(self, id: str) -> Record:
        row = self._one(
            "order", id, "SELECT orders.*, bill.id AS invoice, bill.currency FROM orders"
            ' JOIN invoices bill ON bill."order" = orders.id WHERE orders.id = ?',
        )  # fmt: skip
        items = json.loads(row["items"])
        total = sum(item["unit_cents"] * item["quantity"] for item in items)
        return {**dict(row), "items": items, "total_cents": total, "warehouse": "ARN-2"}

    def invoice(self, id: str) -> Record:
        """One invoice; `refunded_cents`, `balance_cents` and `status` follow from its refunds."""
        row = self._one(
            "invoice", id, "SELECT invoices.*, customer, (SELECT coalesce(sum(cents), 0) FROM refunds"
            ' WHERE invoice = invoices.id) AS refunded FROM invoices JOIN orders ON orders.id = invoices."order"'
            " WHERE invoices.id = ?",
        )  # fmt: skip
        total, refunded, paid = row["total_cents"], row["refunded"], row["paid_at"] is not None
        status = (
            "open" if not paid else "paid" if not refunded else "refunded" if refunded == total else "part_refunded"
        )
        return {
            "id": row["id"],
            "order": row["order"],
            "customer": row["customer"],
            "status": status,
            "currency": row["currency"],
            "total_cents": total,
            "refunded_cents": refunded,
            "balance_cents": total - refunded if paid else 0,
            "paid_at": row["paid_at"],
            "card_last4": "4242",
        }

    def refund(self, arrival: int, invoice: str, cents: int, reason: str, reference: str | None) -> Record:
        """Give back part of a paid invoice; never more than what is left of it."""
        balance = self.invoice(invoice)["balance_cents"]
        if cents > balance:
            raise Rejection(409, "above_balance", f"{invoice} has {balance} cents left to refund.")
        with self._change(arrival):
            made = self._database.execute(
                "INSERT INTO refunds (invoice, cents, reason, reference, made_at) VALUES (?, ?, ?, ?, ?)",
                (invoice, cents, reason, reference, now()),
            ).lastrowid
        return _refund(self._one("refund", made, "SELECT * FROM refunds WHERE id = ?"))

    def refunds(self, reference: str) -> list[Record]:
        return [_refund(row) for row in self._all("SELECT * FROM refunds WHERE reference = ?", reference)]

    def ticket(self, id: str) -> Record:
        row = self._one("ticket", id, "SELECT * FROM tickets WHERE id = ?")
        messages = self._all("SELECT * FROM replies WHERE ticket = ? ORDER BY id", id)
        return {**dict(row), "messages": [_reply(message) for message in messages], "queue": "emea-1"}

    def reply(self, arrival: int, ticket: str, text: str, reference: str | None) -> Record:
        """Append a message; the ticket then waits for the customer. Asked twice, it appends twice."""
        if self.ticket(ticket)["status"] == "closed":
            raise Rejection(409, "ticket_closed", f"{ticket} is closed.")
        with self._change(arrival):
            made = self._database.execute(
                "INSERT INTO replies (ticket, author, text, reference, made_at) VALUES (?, 'support', ?, ?, ?)",
                (ticket, text, reference, now()),
            ).lastrowid
            self._database.execute("UPDATE tickets SET status = 'waiting' WHERE id = ?", (ticket,))
        return _reply(self._one("reply", made, "SELECT * FROM replies WHERE id = ?"))

    def replies(self, ticket: str, reference: str) -> list[Record]:
        self.ticket(ticket)
        found = self._all("SELECT * FROM replies WHERE ticket = ? AND reference = ?", ticket, reference)
        return [_reply(row) for row in found]

    def once(self, key: str, request: str, act: Callable[[], tuple[int, Record]]) -> tuple[int, Record]:
        """The stored answer of `key`, or `act()` and its answer stored with the change, in one transaction."""
        for row in self._all("SELECT * FROM answers WHERE idempotency_key = ?", key):
            if row["request"] != request:
                raise Rejection(422, "idempotency_key_reused", "This Idempotency-Key belongs to another request.")
            return row["status"], json.loads(row["body"])
        with transaction(self._database):
            status, body = act()
            self._database.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, request, status, json.dumps(body)))
        return status, body

    @contextmanager
    def _change(self, arrival: int) -> Iterator[None]:
        """A transaction, or a part of the one around it, that also marks the arrival committed."""
        with nullcontext() if self._database.in_transaction else transaction(self._database):
            yield
            self._database.execute("UPDATE journal SET committed = 1 WHERE seq = ?", (arrival,))

    def _all(self, query: str, *values: str | int) -> list[sqlite3.Row]:
        return self._database.execute(query, values).fetchall()

    def _one(self, kind: str, id: str | int | None, query: str) -> sqlite3.Row:
        row: sqlite3.Row | None = self._database.execute(query, (id,)).fetchone()
        if row is None:
            raise Rejection(404, f"no_such_{kind}", f"There is no {kind} {id}.")
        return row


def _customer(row: sqlite3.Row) -> Record:
    return {**dict(row), "etag": f'"v{row["version"]}"'}


def _refund(row: sqlite3.Row) -> Record:
    return {**dict(row), "id": f"rfd_{row['id']:04d}", "status": "pending", "processor": "acme-pay"}


def _reply(row: sqlite3.Row) -> Record:
    return {**dict(row), "id": f"rpl_{row['id']:04d}"}
