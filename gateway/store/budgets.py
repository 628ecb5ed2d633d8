"""Budgets in the store: reserve by a conditional step, settle, release (semantics.md R-5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.decision import BudgetCharge

if TYPE_CHECKING:
    from gateway.store.transaction import Connection

SLICES = 24
"""A rolling window is counted in so many slices; a slice partly inside it counts whole."""


class Budgets:
    """What has been reserved and spent. All of it happens in the transaction that writes the intent."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now

    def used(self, tenant: str, charge: BudgetCharge) -> int:
        """Reserved plus spent in the charge's window."""
        oldest = 0 if charge.window is None else self._slice(charge) - SLICES
        row = self._execute(
            "SELECT COALESCE(SUM(reserved + spent), 0) AS used FROM budgets"
            " WHERE tenant = ? AND budget = ? AND slice >= ?",
            (tenant, _counter(charge), oldest),
        ).fetchone()
        return int(row["used"])

    def reserve(self, tenant: str, action: str, charge: BudgetCharge) -> bool:
        """Take `amount` out of what is left. False, and nothing taken, when it does not fit (V-7)."""
        if self.used(tenant, charge) + charge.amount > charge.limit:
            return False
        at = self._slice(charge)
        self._execute(
            "INSERT INTO budgets (tenant, budget, slice, reserved) VALUES (:tenant, :budget, :slice, :amount)"
            " ON CONFLICT (tenant, budget, slice) DO UPDATE SET reserved = reserved + :amount",
            {"tenant": tenant, "budget": _counter(charge), "slice": at, "amount": charge.amount},
        )
        self._execute(
            "INSERT INTO charges (action, tenant, budget, slice, amount) VALUES (?, ?, ?, ?, ?)",
            (action, tenant, _counter(charge), at, charge.amount),
        )
        return True

    def settle(self, action: str) -> None:
        """What was reserved is spent: the effect happened."""
        self._finish(action, spent=True)

    def release(self, action: str) -> None:
        """What was reserved is free again: it certainly did not happen."""
        self._finish(action, spent=False)

    def _finish(self, action: str, *, spent: bool) -> None:
        rows = self._execute("SELECT tenant, budget, slice, amount FROM charges WHERE action = ?", (action,)).fetchall()
        for row in rows:
            self._execute(
                "UPDATE budgets SET reserved = reserved - :amount, spent = spent + :spent"
                " WHERE tenant = :tenant AND budget = :budget AND slice = :slice",
                {**dict(row), "spent": row["amount"] if spent else 0},
            )
        # Most calls were charged nothing, and to look for that costs half of what deleting nothing does.
        if rows:
            self._execute("DELETE FROM charges WHERE action = ?", (action,))

    def _slice(self, charge: BudgetCharge) -> int:
        return 0 if charge.window is None else self._now // max(charge.window * 1000 // SLICES, 1)


def _counter(charge: BudgetCharge) -> str:
    """The counter's name; another window counts in other slices, and so is another counter."""
    return charge.budget if charge.window is None else f"{charge.budget}@{charge.window}s"
