"""The decision: strictest wins, order never matters, and what cannot be evaluated is denied."""

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.decision import ApprovalFactor, ApprovalTerms, Verdict
from gateway.documents import parse
from gateway.policy import Inquiry, Policy
from gateway.policy.document import PolicyDocument
from tests.policy.acme import BOT, READ, REFUND, TOOLS, ask
from tests.policy.conftest import Write
from tests.policy.support import SUPPORT, refund


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


def test_only_allowed_fields_may_be_given(policy: Write) -> None:
    """Required arguments are always allowed; of the optional ones only those named, even when they are null."""
    loaded = policy(SUPPORT)
    assert loaded.decide(ask("crm_update_contact", {"contact": "c", "email": "a@b"})).verdict is Verdict.ALLOW
    for value in (True, None):
        decision = loaded.decide(ask("crm_update_contact", {"contact": "c", "vip": value}))
        assert decision.code == "not_permitted"
        assert "`email`, `phone`" in decision.message


@pytest.mark.parametrize(
    ("allowed", "told"),
    [
        ("contact, email", "of the optional arguments only `email` may be given"),
        ("contact", "no optional argument may be given"),
    ],
)
def test_a_required_argument_is_not_told_as_an_optional_one(policy: Write, allowed: str, told: str) -> None:
    """A policy may name it among the allowed ones; what the agent reads is about those that it can leave out."""
    loaded = policy(SUPPORT.replace("[email, phone]", f"[{allowed}]"))
    assert told in loaded.decide(ask("crm_update_contact", {"contact": "c", "vip": True})).message


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


def test_a_hold_that_nobody_could_approve_is_denied() -> None:
    """H-5: should such a policy get past the check, its hold is no way through."""
    nobody = b"policy: p\napplies_to: {kinds: [agent]}\ntools: {ops_adjust: hold}\n"
    somebody = nobody.replace(b"policy: p", b"policy: q\napproval: {from: [finance]}")
    documents = [parse(text, PolicyDocument, Path("p.yaml")) for text in (nobody, somebody)]
    inquiry = ask("ops_adjust", {"amount": 1})
    verdicts = [Policy(unchecked, TOOLS).decide(inquiry).verdict for unchecked in (documents, documents[:1])]
    assert verdicts == [Verdict.DENY, Verdict.DENY]
    assert Policy(documents[1:], TOOLS).decide(inquiry).verdict is Verdict.HOLD
