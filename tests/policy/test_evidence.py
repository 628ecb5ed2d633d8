"""What a call has to bring along: a reason, and reads that it rests on (semantics.md E-1)."""

from dataclasses import replace

import pytest

from gateway.decision import Verdict
from tests.policy.acme import READ, ask
from tests.policy.conftest import Write
from tests.policy.support import SUPPORT, refund


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
