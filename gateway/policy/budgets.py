"""What a call costs, by the policies that apply to it (semantics.md R-5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gateway.model import BudgetCharge, TaskLimits
from gateway.policy.document import Budgets, PrincipalBudget, TaskBudget, ToolBudget
from gateway.policy.inquiry import Inquiry
from gateway.policy.notation import spoken, unit_of


def charges(
    inquiry: Inquiry, wholes: Iterable[Budgets], own: Iterable[tuple[str, ToolBudget]]
) -> tuple[BudgetCharge, ...]:
    """What the call is charged: to the budgets over all tools, and to those of its own tool.

    Policies share the counters over all tools, and the smallest limit counts.

    Raises:
        ValueError: when an amount is no whole number of at least 0, which would refill a budget.
    """
    strictest: dict[str, BudgetCharge] = {}
    for charge in (*_over_all_tools(inquiry, wholes), *_of_tool(inquiry, own)):
        known = strictest.get(charge.budget)
        if known is None or charge.limit < known.limit:
            strictest[charge.budget] = charge
    return tuple(strictest[name] for name in sorted(strictest))


def limits(wholes: Iterable[Budgets]) -> TaskLimits:
    """The shortest time that any of the policies gives a task."""
    given = [whole.task.wall_clock for whole in wholes if whole.task and whole.task.wall_clock is not None]
    return TaskLimits(min(given, default=None))


def owner(inquiry: Inquiry, per: str) -> str:
    """Whose budget it is, so written that no two owners share a name, whatever their ids contain."""
    tenant = escaped(inquiry.principal.tenant)
    match per:
        case "principal":
            return f"principal:{tenant}/{escaped(inquiry.principal.id)}"
        case "task":
            return f"task:{tenant}/{escaped(inquiry.task_id)}"
        case _:
            return f"tenant:{tenant}"


def _over_all_tools(inquiry: Inquiry, wholes: Iterable[Budgets]) -> Iterator[BudgetCharge]:
    for whole in wholes:
        if whole.task:
            yield from _whole(inquiry, whole.task, owner(inquiry, "task"), None)
        if whole.principal:
            window = whole.principal.window
            yield from _whole(inquiry, whole.principal, owner(inquiry, "principal"), window)


def _whole(
    inquiry: Inquiry, budget: TaskBudget | PrincipalBudget, whose: str, window: int | None
) -> Iterator[BudgetCharge]:
    suffix = "" if window is None else f"/{spoken(window)}"
    if budget.tool_calls is not None:
        yield BudgetCharge(f"{whose}/tool_calls{suffix}", 1, budget.tool_calls, window, "calls")
    tool = inquiry.tool
    if budget.spend is not None and tool.spend is not None and tool.currency == budget.spend.currency:
        amount = _amount(inquiry, tool.spend)
        name = f"{whose}/spend/{tool.currency}{suffix}"
        yield BudgetCharge(name, amount, budget.spend.minor, window, budget.spend.unit)


def _of_tool(inquiry: Inquiry, own: Iterable[tuple[str, ToolBudget]]) -> Iterator[BudgetCharge]:
    for policy, budget in own:
        tool = inquiry.tool
        field = budget.sum
        suffix = "" if budget.window is None else f"/{spoken(budget.window)}"
        name = f"{policy}/{tool.name}/{owner(inquiry, budget.per)}/{field or 'calls'}{suffix}"
        amount = 1 if field is None else _amount(inquiry, field)
        unit = "calls" if field is None else unit_of(tool.currency) if field == tool.spend and tool.currency else field
        yield BudgetCharge(name, amount, budget.at_most, budget.window, unit)


def _amount(inquiry: Inquiry, field: str) -> int:
    value = inquiry.arguments.get(field)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{field}` is no amount")
    return value


def escaped(identifier: str) -> str:
    """An id as one step of a counter's name."""
    return identifier.replace("%", "%25").replace("/", "%2F")
