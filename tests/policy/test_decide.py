"""The decision: strictest wins, order never matters, and what cannot be evaluated is denied."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.documents import parse
from gateway.model import ApprovalFactor, ApprovalTerms, BudgetCharge, Kind, Principal, Rate, Verdict
from gateway.policy import Inquiry, Policy
from gateway.policy.document import PolicyDocument
from tests.policy.acme import BOT, READ, REFUND, TOOLS, ask
from tests.policy.conftest import Write

SUPPORT = """
policy: support-agents
applies_to: {groups: [support]}
budgets:
  task: {tool_calls: 8, wall_clock: 90s, spend: 50.00 USD}
  on_exceeded: handoff_to_human
tools:
  billing_lookup_invoice: allow
  billing_refund:
    max: {cents: 5000}
    min: {cents: 100}
    approve_over: {cents: 2500}
    approval: {from: [finance], count: 1, expires: 4h}
    require: [reason, {evidence: billing_lookup_invoice, same: [invoice], within: 15m}]
    rate: 10/min
    budget: {sum: cents, per: principal, window: 24h, at_most: 50000}
    repeat_window: 5m
  crm_update_contact:
    allowed_fields: [email, phone]
rules:
  - id: no-goodwill-by-unattended-agents
    tools: [billing_refund]
    who: {on_behalf_of: none}
    when: {args.reason: {is: goodwill}}
    then: deny
    because: Goodwill needs a person; ask one to make the call.
"""


def refund(**changed: object) -> dict[str, object]:
    return {**REFUND, **changed}


def test_a_call_within_all_terms_is_allowed_and_names_its_grant_and_line(policy: Write) -> None:
    """What is granted and bites on nothing is allowed, with the line of the grant."""
    decision = policy(SUPPORT).decide(ask())
    assert (decision.verdict, decision.code) == (Verdict.ALLOW, "allowed")
    assert [(rule.id, rule.line) for rule in decision.rules] == [("support-agents/billing_refund/allow", 9)]


def test_what_no_policy_grants_is_denied(policy: Write) -> None:
    """No match is deny: a tool that is not named, a principal to whom no policy applies."""
    loaded = policy(SUPPORT)
    stranger = replace(BOT, groups=frozenset({"sales"}))
    for inquiry in (ask("ops_adjust", {"amount": 1}), ask(principal=stranger)):
        decision = loaded.decide(inquiry)
        assert (decision.verdict, decision.code) == (Verdict.DENY, "not_permitted")
        assert "No policy lets bot call" in decision.message


@pytest.mark.parametrize(
    ("arguments", "rule", "told"),
    [
        (refund(cents=5001), "max.cents", "`cents` may be at most 5000"),
        (refund(cents=99), "min.cents", "`cents` must be at least 100"),
    ],
)
def test_a_limit_that_is_passed_denies_and_is_told(
    policy: Write, arguments: dict[str, object], rule: str, told: str
) -> None:
    """The agent learns which limit was hit, and no other rule's name, so that it can stay within it."""
    decision = policy(SUPPORT).decide(ask(arguments=arguments))
    assert decision.code == "not_permitted"
    assert [ref.id for ref in decision.rules] == [f"support-agents/billing_refund/{rule}"]
    assert told in decision.message


@pytest.mark.parametrize(("cents", "verdict"), [(5000, "hold"), (2501, "hold"), (2500, "allow"), (100, "allow")])
def test_limits_include_their_own_value(policy: Write, cents: int, verdict: str) -> None:
    """`max` allows its own value, and `approve_over` holds only what is over it."""
    assert policy(SUPPORT).decide(ask(arguments=refund(cents=cents))).verdict == verdict


def test_a_hold_says_who_must_approve_and_for_how_long(policy: Write) -> None:
    """H-5, H-6: the terms stand in the decision; what is not written has the defaults."""
    decision = policy(SUPPORT).decide(ask(arguments=refund(cents=3000)))
    assert decision.code == "approval_needed"
    assert [ref.id for ref in decision.rules] == ["support-agents/billing_refund/approve_over.cents"]
    assert decision.approval == ApprovalTerms((ApprovalFactor(("finance",), 1),), expires=14_400, execute_within=900)
    assert "1 of finance" in decision.message


def test_holds_of_several_policies_ask_for_all_factors_and_the_shortest_times(policy: Write) -> None:
    """H-5: factors add up, equal groups take the larger count, times take the smaller."""
    legal = """
policy: legal
applies_to: {kinds: [agent]}
approval: {from: [finance], count: 2, expires: 1h, execute_within: 1d, also: [{from: [legal, risk]}]}
rules:
  - {id: refunds, tools: ["billing_*d"], then: hold, because: Refunds are new.}
"""
    decision = policy(SUPPORT, legal).decide(ask(arguments=refund(cents=3000)))
    factors = (ApprovalFactor(("finance",), 2), ApprovalFactor(("legal", "risk"), 1))
    assert decision.approval == ApprovalTerms(factors, expires=3600, execute_within=900)


def test_a_missing_reason_is_asked_for(policy: Write) -> None:
    """Blank counts as missing."""
    for reason in (None, "", "  "):
        assert policy(SUPPORT).decide(ask(reason=reason)).code == "needs_reason"


@pytest.mark.parametrize(
    "read",
    [
        replace(READ, tool="crm_lookup"),
        replace(READ, task="tsk_2"),
        replace(READ, age=900.5),
        replace(READ, age=-1.0),
        replace(READ, age=float("nan")),
        replace(READ, fields={"invoice": "inv_2"}),
        replace(READ, fields={}),
    ],
)
def test_evidence_must_be_the_named_read_of_this_task_fresh_and_about_the_same_thing(
    policy: Write, read: object
) -> None:
    """E-1: a cited read counts only if tool, task, age and every `same` field fit."""
    decision = policy(SUPPORT).decide(ask(evidence=(read,)))  # type: ignore[arg-type]
    assert decision.code == "needs_evidence"
    assert "billing_lookup_invoice" in decision.message


def test_one_fitting_read_among_those_cited_is_enough(policy: Write) -> None:
    """E-1: others do no harm; at exactly `within` it still counts."""
    reads = (replace(READ, task="tsk_2"), replace(READ, age=900.0))
    assert policy(SUPPORT).decide(ask(evidence=reads)).verdict is Verdict.ALLOW


def test_two_reads_that_each_fit_in_part_are_no_evidence(policy: Write) -> None:
    """E-1: all of tool, task, age and fields must be met by one read."""
    reads = (replace(READ, task="tsk_2"), replace(READ, fields={"invoice": "inv_2"}))
    assert policy(SUPPORT).decide(ask(evidence=reads)).code == "needs_evidence"


def test_an_argument_may_be_compared_with_a_field_of_another_name(policy: Write) -> None:
    """E-1: `same: [{cents: total}]` compares the write's cents with the read's total."""
    loaded = policy(SUPPORT.replace("same: [invoice]", "same: [invoice, {cents: total}]"))
    assert loaded.decide(ask(arguments=refund(cents=2000))).code == "needs_evidence"
    read = replace(READ, fields={**READ.fields, "total": 2000})
    assert loaded.decide(ask(arguments=refund(cents=2000), evidence=(read,))).verdict is Verdict.ALLOW


def test_what_is_forbidden_is_told_before_what_is_missing(policy: Write) -> None:
    """There is no point in sending an agent for evidence of a call that is not permitted anyway."""
    decision = policy(SUPPORT).decide(ask(arguments=refund(cents=9000), reason=None, evidence=()))
    assert decision.code == "not_permitted"
    assert "reason" not in decision.message


def test_all_that_is_missing_is_told_at_once(policy: Write) -> None:
    """An agent that lacks a reason and evidence hears of both."""
    decision = policy(SUPPORT).decide(ask(reason=None, evidence=()))
    assert decision.code == "needs_evidence"
    assert "`reason`" in decision.message


def test_only_allowed_fields_may_be_given(policy: Write) -> None:
    """Required arguments are always allowed; of the optional ones only those named, even when they are null."""
    loaded = policy(SUPPORT)
    assert loaded.decide(ask("crm_update_contact", {"contact": "c", "email": "a@b"})).verdict is Verdict.ALLOW
    for value in (True, None):
        decision = loaded.decide(ask("crm_update_contact", {"contact": "c", "vip": value}))
        assert decision.code == "not_permitted"
        assert "`email`, `phone`" in decision.message


def test_a_rule_denies_with_its_own_reason_and_only_whom_it_is_about(policy: Write) -> None:
    """`on_behalf_of: none` is about agents that act for nobody."""
    loaded = policy(SUPPORT)
    goodwill = refund(reason="goodwill")
    assert "Goodwill needs a person" in loaded.decide(ask(arguments=goodwill)).message
    attended = replace(BOT, on_behalf_of="ann")
    assert loaded.decide(ask(arguments=goodwill, principal=attended)).verdict is Verdict.ALLOW


@pytest.mark.parametrize(
    ("who", "meant"),
    [
        ("{on_behalf_of: any}", False),
        ("{on_behalf_of: [ann, bob]}", False),
        ("{principals: [bot]}", True),
        ("{principals: [other]}", False),
        ("{kinds: [agent]}", True),
        ("{groups: [support, sales]}", True),
        ("{groups: [sales]}", False),
        ("{principals: [bot], groups: [sales]}", False),
    ],
)
def test_every_key_of_who_narrows(policy: Write, who: str, meant: bool) -> None:
    """Within a key any value fits; all keys must fit."""
    loaded = policy(SUPPORT.replace("{on_behalf_of: none}", who))
    denied = loaded.decide(ask(arguments=refund(reason="goodwill"))).verdict is Verdict.DENY
    assert denied is meant


CONTACT = {"contact": "c-1", "email": "a@acme.com", "credit_limit": 10, "vip": True, "tags": ["x"]}


@pytest.mark.parametrize(
    ("condition", "met", "met_when_absent"),
    [
        ("email: {is: a@acme.com}", True, False),
        ("email: {is: b@acme.com}", False, False),
        ("email: {is_not: b@acme.com}", True, True),
        ("email: {in: [x, a@acme.com]}", True, False),
        ("email: {not_in: [x, y]}", True, True),
        ("email: {not_in: [x, a@acme.com]}", False, True),
        ("credit_limit: {over: 9}", True, False),
        ("credit_limit: {over: 10}", False, False),
        ("credit_limit: {at_least: 10}", True, False),
        ("credit_limit: {under: 10}", False, False),
        ("credit_limit: {under: 11, over: 9}", True, False),
        ("credit_limit: {at_most: 10}", True, False),
        ("email: {starts_with: 'a@'}", True, False),
        ("email: {ends_with: .org}", False, False),
        ("email: {contains: acme}", True, False),
        ("tags: {contains: x}", True, False),
        ("tags: {contains: y}", False, False),
        ("vip: {is: true}", True, False),
        ("vip: {present: true}", True, False),
        ("vip: {present: false}", False, True),
        ("shipping_address.country: {is: DE}", False, False),
        ("shipping_address.country: {present: false}", True, True),
    ],
)
def test_operators_mean_what_they_say(policy: Write, condition: str, met: bool, met_when_absent: bool) -> None:
    """The closed set of operators, each on a value and on an absent argument."""
    loaded = policy(f"""
policy: crm
applies_to: {{kinds: [agent]}}
tools: {{crm_update_contact: allow}}
rules:
  - {{id: r, tools: [crm_update_contact], when: {{args.{condition}}}, then: deny, because: Test.}}
""")
    denied = [
        loaded.decide(ask("crm_update_contact", arguments)).verdict is Verdict.DENY
        for arguments in (CONTACT, {"contact": "c-1"})
    ]
    assert denied == [met, met_when_absent]


def test_a_nested_argument_is_reached_by_its_path(policy: Write) -> None:
    """`args.shipping_address.country` looks into the address."""
    loaded = policy("""
policy: crm
applies_to: {kinds: [agent]}
tools: {crm_update_contact: allow}
rules:
  - id: r
    tools: ["crm_*"]
    when: {args.shipping_address.country: {in: [FR, US]}, args.contact: {is: c}}
    then: deny
    because: Test.
""")
    addresses = [{"city": "x", "country": country} for country in ("US", "DE")]
    verdicts = [
        loaded.decide(ask("crm_update_contact", {"contact": "c", "shipping_address": address})).verdict
        for address in addresses
    ]
    assert verdicts == [Verdict.DENY, Verdict.ALLOW]


def test_max_on_an_absent_argument_passes(policy: Write) -> None:
    """An optional argument that is not given exceeds nothing."""
    loaded = policy(
        "policy: crm\napplies_to: {kinds: [agent]}\ntools:\n  crm_update_contact: {max: {credit_limit: 100}}\n"
    )
    assert loaded.decide(ask("crm_update_contact", {"contact": "c"})).verdict is Verdict.ALLOW
    assert loaded.decide(ask("crm_update_contact", {"contact": "c", "credit_limit": 101})).verdict is Verdict.DENY


def test_deny_beats_hold_beats_allow(policy: Write) -> None:
    """Strictest wins, whichever policy says it."""
    texts = [
        f"policy: p-{word}\napplies_to: {{kinds: [agent]}}\napproval: {{from: [a]}}\ntools: {{ops_adjust: {word}}}\n"
        if word == "hold"
        else f"policy: p-{word}\napplies_to: {{kinds: [agent]}}\ntools: {{ops_adjust: {word}}}\n"
        for word in ("allow", "hold", "deny")
    ]
    inquiry = ask("ops_adjust", {"amount": 1})
    assert policy(*texts[:1]).decide(inquiry).verdict is Verdict.ALLOW
    assert policy(*texts[:2]).decide(inquiry).verdict is Verdict.HOLD
    assert policy(*texts).decide(inquiry).verdict is Verdict.DENY


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


def test_what_cannot_be_evaluated_is_denied(policy: Write) -> None:
    """An evaluation error denies; it never raises and never lets through."""
    whole = ask()
    broken = [
        replace(whole, arguments={**REFUND, "cents": "many"}),
        replace(whole, arguments={**REFUND, "cents": -5}, evidence=(READ,)),
        replace(whole, arguments=None),  # type: ignore[arg-type]
        replace(whole, evidence=None),  # type: ignore[arg-type]
    ]
    for inquiry in broken:
        decision = policy(SUPPORT.replace("    min: {cents: 100}\n", "")).decide(inquiry)
        assert (decision.verdict, decision.code) == (Verdict.DENY, "not_permitted")
        assert decision.rules[0].id == "holdgate/evaluation-error"


def test_visible_are_the_granted_tools_that_nobody_denies_outright(policy: Write) -> None:
    """A tool that can never be called is not shown; one that is only narrowed is."""
    loaded = policy(SUPPORT)
    assert loaded.visible(BOT) == {"billing_lookup_invoice", "billing_refund", "crm_update_contact"}
    assert loaded.visible(replace(BOT, groups=frozenset())) == frozenset()
    ban = """
policy: ban
applies_to: {kinds: [agent]}
tools: {crm_update_contact: deny}
rules:
  - {id: no-money, tools: ["billing_r*"], who: {on_behalf_of: none}, then: deny, because: Not alone.}
"""
    both = policy(SUPPORT, ban)
    assert both.visible(BOT) == {"billing_lookup_invoice"}
    assert both.visible(replace(BOT, on_behalf_of="ann")) == {"billing_lookup_invoice", "billing_refund"}


def test_rates_have_a_stable_name_per_principal_and_tool(policy: Write) -> None:
    """R-1: the throttle counts attempts under this name."""
    loaded = policy(SUPPORT)
    assert loaded.rates(BOT, "billing_refund") == (
        ("support-agents/billing_refund/principal:acme/bot", Rate(10, 60.0)),
    )
    assert loaded.rates(BOT, "crm_update_contact") == ()
    assert loaded.rates(Principal("acme", "x", Kind.HUMAN), "billing_refund") is None


def test_the_hash_follows_content_and_not_form(policy: Write) -> None:
    """H-1 binds approvals to it: a comment or the name of a file does not void them, a changed limit does."""
    one, other = policy(SUPPORT), policy("# a comment\n" + SUPPORT)
    assert one.hash == other.hash
    assert policy(SUPPORT.replace("5000}", "4999}")).hash != one.hash


def test_a_tool_that_the_policy_was_not_compiled_for_is_denied(policy: Write) -> None:
    """What was added after the check is not granted."""
    loaded = policy("policy: p\napplies_to: {kinds: [agent]}\ntools: {ops_adjust: allow}\n")
    unknown = replace(TOOLS["ops_adjust"], name="ops_other")
    inquiry: Inquiry = replace(ask("ops_adjust", {"amount": 1}), tool=unknown)
    assert loaded.decide(inquiry).verdict is Verdict.DENY


def test_an_absent_argument_is_the_same_as_nothing(policy: Write) -> None:
    """E-1: a write that leaves out what must be equal is not about what was read, even where both are null."""
    loaded = policy(SUPPORT.replace("same: [invoice]", "same: [{note: customer}]"))
    read = replace(READ, fields={"customer": None})
    assert loaded.decide(ask(evidence=(read,))).code == "needs_evidence"


def test_true_is_not_one(policy: Write) -> None:
    """E-1: values are equal as JSON says, not as Python does."""
    loaded = policy(SUPPORT.replace("same: [invoice]", "same: [{cents: total}]").replace("    min: {cents: 100}\n", ""))
    read = replace(READ, fields={"total": True})
    assert loaded.decide(ask(arguments=refund(cents=1), evidence=(read,))).code == "needs_evidence"


def test_a_hold_that_nobody_could_approve_is_denied() -> None:
    """H-5: should such a policy get past the check, its hold is no way through."""
    nobody = b"policy: p\napplies_to: {kinds: [agent]}\ntools: {ops_adjust: hold}\n"
    somebody = nobody.replace(b"policy: p", b"policy: q\napproval: {from: [finance]}")
    documents = [parse(text, PolicyDocument, Path("p.yaml")) for text in (nobody, somebody)]
    inquiry = ask("ops_adjust", {"amount": 1})
    verdicts = [Policy(unchecked, TOOLS).decide(inquiry).verdict for unchecked in (documents, documents[:1])]
    assert verdicts == [Verdict.DENY, Verdict.DENY]
    assert Policy(documents[1:], TOOLS).decide(inquiry).verdict is Verdict.HOLD


def test_of_two_repeat_windows_the_longer_counts(policy: Write) -> None:
    """I-4: the one under which fewer writes run twice."""
    patient = """
policy: patient
applies_to: {kinds: [agent]}
tools: {billing_refund: {repeat_window: 1h}}
"""
    assert policy(SUPPORT, patient).decide(ask()).repeat_window == 3600
