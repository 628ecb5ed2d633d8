"""What an allowed call costs: budgets, rates and windows, each with a stable name (semantics.md R-1, R-5)."""

from dataclasses import replace

from gateway.decision import BudgetCharge, Rate
from gateway.model import Kind, Principal
from tests.policy.acme import BOT, ask
from tests.policy.conftest import Write
from tests.policy.support import SUPPORT


def test_budgets_become_charges(policy: Write) -> None:
    """R-5: calls and money of the task, and the tool's own sum, each with a stable name."""
    decision = policy(SUPPORT).decide(ask())
    assert decision.charges == (
        BudgetCharge("support-agents/billing_refund/principal:acme/bot/cents/1d", 2000, 50_000, 86_400, "USD cents"),
        BudgetCharge("task:acme/tsk_1/spend/USD", 2000, 5000, None, "USD cents", per_task=True),
        BudgetCharge("task:acme/tsk_1/tool_calls", 1, 8, None, "calls", per_task=True),
    )
    assert (decision.limits.wall_clock, decision.on_exceeded) == (90, "handoff_to_human")
    assert decision.repeat_window == 300


def test_of_two_policies_the_strictest_budget_counts(policy: Write) -> None:
    """R-5: counters over all tools are shared, and the smallest limit and the shortest time count."""
    tight = """
policy: tight
applies_to: {principals: [bot]}
budgets: {task: {tool_calls: 3, wall_clock: 1m}, principal: {window: 1h, tool_calls: 50}}
"""
    decision = policy(SUPPORT, tight).decide(ask())
    limits = {charge.budget: charge.limit for charge in decision.charges}
    assert limits["task:acme/tsk_1/tool_calls"] == 3
    assert limits["principal:acme/bot/tool_calls/1h"] == 50
    assert decision.limits.wall_clock == 60


def test_no_two_owners_share_a_counter(policy: Write) -> None:
    """T-3: ids with separators in them cannot name another tenant's or principal's budget."""
    loaded = policy(SUPPORT)
    names = {
        loaded.decide(ask(principal=replace(BOT, tenant=tenant, id=name))).charges[0].budget
        for tenant, name in [("a", "b/c"), ("a/b", "c"), ("a%2Fb", "c"), ("a", "b%2Fc")]
    }
    assert len(names) == 4


def test_a_denied_call_is_charged_nothing(policy: Write) -> None:
    """Only what may go on costs budget."""
    assert policy(SUPPORT).decide(ask(reason=None)).charges == ()


def test_rates_have_a_stable_name_per_principal_and_tool(policy: Write) -> None:
    """R-1: the throttle counts attempts under this name."""
    loaded = policy(SUPPORT)
    assert loaded.rates(BOT, "billing_refund") == (
        ("support-agents/billing_refund/principal:acme/bot", Rate(10, 60.0)),
    )
    assert loaded.rates(BOT, "crm_update_contact") == ()
    assert loaded.rates(Principal("acme", "x", Kind.HUMAN), "billing_refund") is None


def test_of_two_repeat_windows_the_longer_counts(policy: Write) -> None:
    """I-4: the one under which fewer writes run twice."""
    patient = """
policy: patient
applies_to: {kinds: [agent]}
tools: {billing_refund: {repeat_window: 1h}}
"""
    assert policy(SUPPORT, patient).decide(ask()).repeat_window == 3600
