"""What policy says of an action: the verdict, its rules, who must approve, and what the call is charged."""

from __future__ import annotations

from enum import StrEnum

from gateway.frozen import statically_frozen


class Verdict(StrEnum):
    """What policy says. Strictest wins: deny > hold > allow."""

    ALLOW = "allow"
    HOLD = "hold"
    DENY = "deny"


@statically_frozen
class RuleRef:
    """A rule that made a decision, so that it can be found in its file."""

    id: str
    """`<policy>/<tool or rule id>/<clause>`, e.g. `support-agents/billing_refund/max.cents`."""
    verdict: Verdict
    line: int
    because: str


@statically_frozen
class ApprovalFactor:
    """So many humans out of these groups."""

    groups: tuple[str, ...]
    count: int = 1


@statically_frozen
class ApprovalTerms:
    """Who must approve, and for how long the question and the answer stand (semantics.md H-5, H-6)."""

    factors: tuple[ApprovalFactor, ...]
    expires: int = 3600
    """Seconds a hold waits for its votes."""
    execute_within: int = 900
    """Seconds an approval may wait for its execution."""

    @property
    def needs(self) -> str:
        """Whose votes it takes, in words."""
        return " and ".join(f"{factor.count} of {' or '.join(factor.groups)}" for factor in self.factors)


@statically_frozen
class Rate:
    """So many attempts per period."""

    count: int
    seconds: float


@statically_frozen
class BudgetCharge:
    """What one call costs against one budget (semantics.md R-5)."""

    budget: str
    """Stable name of the counter, e.g. `support-agents/billing_refund/principal:bot/cents`."""
    amount: int
    limit: int
    window: int | None
    """Seconds of the rolling window; None: the whole task."""
    unit: str
    """`calls`, or a currency and its minor unit such as `USD cents`, or the summed argument's name."""
    per_task: bool = False
    """Whether each task has one of its own."""


@statically_frozen
class TaskLimits:
    """What a whole task may use up."""

    wall_clock: int | None = None
    """Seconds since the task's first call."""


@statically_frozen
class Decision:
    """What policy says of one action, and the rules that made it say so."""

    verdict: Verdict
    code: str
    """`allowed`, `approval_needed`, or the refusal's code: `not_permitted`, `needs_evidence`, `needs_reason`."""
    message: str
    """One sentence for the agent: why, and what to do next."""
    rules: tuple[RuleRef, ...]
    """Those that made it this verdict, and no others; none, when nothing grants the tool."""
    policy_hash: str
    approval: ApprovalTerms | None = None
    charges: tuple[BudgetCharge, ...] = ()
    limits: TaskLimits = TaskLimits()
    repeat_window: int | None = None
    """Seconds in which an identical keyless write is answered from the first; None: the gateway's default."""
    on_exceeded: str | None = None
    """What the agent is told to do when a budget is used up, e.g. `handoff_to_human`."""
