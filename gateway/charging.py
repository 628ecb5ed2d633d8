"""What a call costs: its task's time, the budgets it is charged to, and how much of them is used (semantics.md R-5)."""

from __future__ import annotations

import logging

from gateway.decision import Decision
from gateway.errors import LedgerUnavailable, Refusal
from gateway.model import Action
from gateway.replies import over_budget
from gateway.replies import over_time as too_late
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics

log = logging.getLogger("holdgate.charging")


def over_time(tx: Transaction, action: Action, decision: Decision, opened: int) -> Refusal | None:
    """A task's wall clock bounds what its agent may still ask for; waiting for a human is not its own time.

    Args:
        opened: when the task was, in milliseconds since the epoch.
    """
    clock = decision.limits.wall_clock
    if clock is None or tx.now - opened < clock * 1000:
        return None
    return too_late(clock, action.task, decision)


def lacking(tx: Transaction, action: Action, decision: Decision) -> Refusal | None:
    """Whether a budget could not pay the call now, by the refusal that names it; nothing is reserved.

    Asked before a human is: an approval that cannot be paid would be asked for in vain. While it is waited for, others
    may spend what is left, so that whoever spends the approval reserves (semantics.md R-3).
    """
    tenant = action.principal.tenant
    for charge in decision.charges:
        used = tx.budgets.used(tenant, charge)
        if used + charge.amount > charge.limit:
            return over_budget(charge, used, action.task, decision)
    return None


def reserve(tx: Transaction, action: Action, decision: Decision) -> Refusal | None:
    """Reserve what the call may cost, of all of its budgets or of none; the refusal names the one that is used up."""
    tenant = action.principal.tenant
    for charge in decision.charges:
        if not tx.budgets.reserve(tenant, action.id, charge):
            tx.budgets.release(action.id)
            return over_budget(charge, tx.budgets.used(tenant, charge), action.task, decision)
    return None


async def measure(store: Store, action: Action, decision: Decision) -> None:
    """Tell the metrics what is used of the budgets that were charged, once that is committed: work may run twice."""
    if not metrics.on():
        return
    tenant = action.principal.tenant
    try:
        used = await store.read(lambda tx: [tx.budgets.used(tenant, charge) for charge in decision.charges])
    except LedgerUnavailable as down:
        # The intent stands, whatever can be told of its price.
        log.warning("budgets_not_measured", extra={"action": action.id, "why": str(down)})
        return
    for charge, sum in zip(decision.charges, used, strict=True):
        metrics.charged(action, charge, sum)
