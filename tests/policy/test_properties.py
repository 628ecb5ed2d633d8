"""What must hold for every set of policies and every call."""

import json
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from gateway.decision import Decision, Verdict
from gateway.documents import parse
from gateway.model import Evidence, Kind, Principal
from gateway.policy import Inquiry, Policy
from gateway.policy.document import PolicyDocument
from tests.policy.acme import READ, REFUND, TASK, TOOLS

STRICTNESS = [Verdict.ALLOW, Verdict.HOLD, Verdict.DENY]
APPROVAL: dict[str, Any] = {"from": ["finance"]}

conditions = st.sampled_from(
    [
        {"args.cents": {"over": 1000}},
        {"args.cents": {"at_most": 1000}},
        {"args.reason": {"is": "goodwill"}},
        {"args.reason": {"is_not": "fraud"}},
        {"args.note": {"present": False}},
        {},
    ]
)
whoms = st.sampled_from([{"groups": ["support"]}, {"groups": ["sales"]}, {"kinds": ["agent"]}, {"principals": ["bot"]}])
rules = st.lists(
    st.fixed_dictionaries(
        {
            "tools": st.sampled_from([["billing_refund"], ["billing_*"]]),
            "who": whoms,
            "when": conditions,
            "then": st.sampled_from(["deny", "hold"]),
            "because": st.just("A rule says so"),
        }
    ),
    max_size=4,
)
terms = st.one_of(
    st.sampled_from(["allow", "deny", "hold"]),
    st.fixed_dictionaries(
        {"rate": st.just("10/min")},
        optional={
            "max": st.fixed_dictionaries({"cents": st.integers(500, 3000)}),
            "approve_over": st.fixed_dictionaries({"cents": st.integers(100, 400)}),
            "require": st.just(
                ["reason", {"evidence": "billing_lookup_invoice", "same": ["invoice"], "within": "15m"}]
            ),
            "allowed_fields": st.just(["invoice"]),
            "budget": st.just({"sum": "cents", "per": "principal", "window": "24h", "at_most": 5000}),
        },
    ),
)
budgets = st.fixed_dictionaries(
    {"task": st.fixed_dictionaries({"tool_calls": st.integers(1, 9), "wall_clock": st.just("90s")})}
)
files = st.lists(st.tuples(whoms, terms, rules, budgets), min_size=1, max_size=3)
calls = st.builds(
    Inquiry,
    principal=st.builds(
        Principal,
        tenant=st.just("acme"),
        id=st.sampled_from(["bot", "other"]),
        kind=st.sampled_from(Kind),
        groups=st.sampled_from([frozenset(), frozenset({"support"}), frozenset({"support", "sales"})]),
    ),
    tool=st.just(TOOLS["billing_refund"]),
    arguments=st.fixed_dictionaries(
        {
            "invoice": st.just("inv_1"),
            "cents": st.integers(1, 4000),
            "reason": st.sampled_from(["duplicate", "fraud", "goodwill"]),
            "note": st.none() | st.just("x"),
        }
    ),
    given=st.sampled_from([frozenset(REFUND), frozenset({*REFUND, "note"})]),
    reason=st.sampled_from([None, "because"]),
    evidence=st.sampled_from([(), (READ,)]),
    task_id=st.just(TASK),
)


def build(drawn: list[Any], extra: tuple[dict[str, Any], ...] = (), shuffle: random.Random | None = None) -> Policy:
    """The policies, as files; `extra` rules go into the last one, and `shuffle` changes all order there is."""
    documents = []
    for number, (whom, entry, own, budget) in enumerate(drawn):
        named = [{"id": f"r{place}", **rule} for place, rule in enumerate(own)]
        if number == len(drawn) - 1:
            named += [{"id": f"x{place}", **rule} for place, rule in enumerate(extra)]
        named = [{key: value for key, value in rule.items() if value != {}} for rule in named]
        content = {
            "policy": f"p{number}",
            "applies_to": whom,
            "approval": APPROVAL,
            "budgets": budget,
            "tools": {"billing_refund": entry},
            "rules": named,
        }
        if shuffle:
            shuffle.shuffle(named)
            keys = list(content)
            shuffle.shuffle(keys)
            content = {key: content[key] for key in keys}
        documents.append(parse(json.dumps(content).encode(), PolicyDocument, Path(f"{number}.yaml")))
    if shuffle:
        shuffle.shuffle(documents)
    return Policy(documents, TOOLS)


def essence(decision: Decision) -> Decision:
    """All but what names places in files."""
    return replace(decision, policy_hash="", rules=tuple(replace(rule, line=0) for rule in decision.rules))


@given(files, calls, st.randoms(use_true_random=False))
def test_order_never_changes_the_decision(drawn: list[Any], inquiry: Inquiry, shuffle: random.Random) -> None:
    """Of files, of keys, of rules: verdict, code, message, approval and charges stay the same."""
    assert essence(build(drawn).decide(inquiry)) == essence(build(drawn, shuffle=shuffle).decide(inquiry))


@given(files, st.lists(calls, min_size=2, max_size=6))
def test_what_was_decided_before_never_changes_the_decision(drawn: list[Any], inquiries: list[Inquiry]) -> None:
    """What a policy remembers of a principal and a tool is nobody else's, and holds nothing of a call."""
    asked_often = build(drawn)
    assert [asked_often.decide(inquiry) for inquiry in inquiries] == [build(drawn).decide(one) for one in inquiries]


@given(files, calls, rules)
def test_another_rule_never_loosens_the_decision(
    drawn: list[Any], inquiry: Inquiry, extra: list[dict[str, Any]]
) -> None:
    """What was denied stays denied, what was held is at least held, and no tool appears."""
    before, after = build(drawn), build(drawn, extra=tuple(extra))
    verdicts = [policy.decide(inquiry).verdict for policy in (before, after)]
    assert STRICTNESS.index(verdicts[1]) >= STRICTNESS.index(verdicts[0])
    assert after.visible(inquiry.principal) <= before.visible(inquiry.principal)


@given(files, calls)
def test_what_is_not_visible_is_never_allowed(drawn: list[Any], inquiry: Inquiry) -> None:
    """A hidden tool cannot be called by one who guesses its name."""
    policy = build(drawn)
    if inquiry.tool.name not in policy.visible(inquiry.principal):
        assert policy.decide(inquiry).verdict is Verdict.DENY


@given(files, calls)
def test_a_hold_always_names_approvers_and_a_denial_never_costs(drawn: list[Any], inquiry: Inquiry) -> None:
    """H-5: no hold can be approved by nobody."""
    decision = build(drawn).decide(inquiry)
    assert (decision.verdict is Verdict.HOLD) == (decision.approval is not None)
    assert decision.verdict is not Verdict.DENY or decision.charges == ()
    assert decision.verdict is Verdict.DENY or decision.charges


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(files, calls, st.dictionaries(st.sampled_from(["invoice", "cents", "reason", "note"]), anything), anything)
def test_decide_never_raises(drawn: list[Any], inquiry: Inquiry, arguments: dict[str, Any], found: Any) -> None:
    """Whatever the arguments and the evidence are, there is a decision."""
    read = Evidence("act_x", "billing_lookup_invoice", TASK, 1.0, {"invoice": found})
    odd = replace(inquiry, arguments=arguments, evidence=(read,))
    assert build(drawn).decide(odd).verdict in Verdict
