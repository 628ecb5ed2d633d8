"""What a call costs, by the policies that apply to it (semantics.md R-5)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.connector import Tool
from gateway.decision import BudgetCharge, TaskLimits
from gateway.model import Principal
from gateway.policy.document import Budgets, PrincipalBudget, TaskBudget, ToolBudget
from gateway.policy.inquiry import Inquiry
from gateway.policy.notation import spoken, unit_of


@dataclass(frozen=True, slots=True)
class Price:
    """What each call of one tool by one principal costs against one budget; its task and its arguments are open."""

    whose: str
    """The beginning of the budget's name; of a task's budget, up to the task's id."""
    of_task: bool
    what: str
    """The rest of the name."""
    field: str | None
    """The argument that is the amount; None: each call counts 1."""
    limit: int
    window: int | None
    unit: str


def prices(
    principal: Principal, tool: Tool, wholes: Iterable[Budgets], own: Iterable[tuple[str, ToolBudget]]
) -> tuple[Price, ...]:
    """What each call costs, against the budgets over all tools and against those of its own tool.

    Policies share the counters over all tools, and the smallest limit counts.
    """
    strictest: dict[tuple[str, str], Price] = {}
    for price in (*_over_all_tools(principal, tool, wholes), *_of_tool(principal, tool, own)):
        budget = price.whose, price.what
        known = strictest.get(budget)
        if known is None or price.limit < known.limit:
            strictest[budget] = price
    return tuple(strictest[budget] for budget in sorted(strictest))


def charges(inquiry: Inquiry, prices: Iterable[Price]) -> tuple[BudgetCharge, ...]:
    """What this call is charged.

    Raises:
        ValueError: when an amount is no whole number of at least 0, which would refill a budget.
    """
    task = escaped(inquiry.task_id)
    return tuple(
        BudgetCharge(
            f"{price.whose}{task if price.of_task else ''}{price.what}",
            1 if price.field is None else _amount(inquiry, price.field),
            price.limit,
            price.window,
            price.unit,
            price.of_task,
        )
        for price in prices
    )


def limits(wholes: Iterable[Budgets]) -> TaskLimits:
    """The shortest time that any of the policies gives a task."""
    given = [whole.task.wall_clock for whole in wholes if whole.task and whole.task.wall_clock is not None]
    return TaskLimits(min(given, default=None))


def _owner(principal: Principal, per: str) -> str:
    """Whose budget it is, so written that no two owners share a name, whatever their ids contain.

    Of a task's only the beginning: which task it is, a call tells.
    """
    tenant = escaped(principal.tenant)
    match per:
        case "principal":
            return f"principal:{tenant}/{escaped(principal.id)}"
        case "task":
            return f"task:{tenant}/"
        case _:
            return f"tenant:{tenant}"


def _over_all_tools(principal: Principal, tool: Tool, wholes: Iterable[Budgets]) -> Iterator[Price]:
    for whole in wholes:
        if whole.task:
            yield from _whole(principal, tool, whole.task, None)
        if whole.principal:
            yield from _whole(principal, tool, whole.principal, whole.principal.window)


def _whole(
    principal: Principal, tool: Tool, budget: TaskBudget | PrincipalBudget, window: int | None
) -> Iterator[Price]:
    of_task = isinstance(budget, TaskBudget)
    whose = _owner(principal, "task" if of_task else "principal")
    suffix = _within(window)
    if budget.tool_calls is not None:
        yield Price(whose, of_task, f"/tool_calls{suffix}", None, budget.tool_calls, window, "calls")
    spend = budget.spend
    if spend is not None and tool.spend is not None and tool.currency == spend.currency:
        yield Price(whose, of_task, f"/spend/{tool.currency}{suffix}", tool.spend, spend.minor, window, spend.unit)


def _of_tool(principal: Principal, tool: Tool, own: Iterable[tuple[str, ToolBudget]]) -> Iterator[Price]:
    for policy, budget in own:
        whose = f"{policy}/{tool.name}/{_owner(principal, budget.per)}"
        field = budget.sum
        unit = "calls" if field is None else unit_of(tool.currency) if field == tool.spend and tool.currency else field
        what = f"/{field or 'calls'}{_within(budget.window)}"
        yield Price(whose, budget.per == "task", what, field, budget.at_most, budget.window, unit)


def _within(window: int | None) -> str:
    return "" if window is None else f"/{spoken(window)}"


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
