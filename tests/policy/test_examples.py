"""Examples in a policy are promises: the gateway does not start when one is broken."""

import pytest

from gateway.policy import examples
from tests.policy.acme import TOOLS
from tests.policy.conftest import Refuse, Write

REFUNDS = """
policy: refunds
applies_to: {groups: [support]}
tools:
  billing_lookup_invoice: allow
  billing_refund:
    max: {cents: 5000}
    require: [reason, {evidence: billing_lookup_invoice, same: [invoice], within: 15m}]
examples:
"""
CALL = "call: billing_refund, args: {invoice: inv_1, cents: 900, reason: fraud}"


@pytest.mark.parametrize(
    "example",
    [
        f"{{who: {{groups: [support]}}, {CALL}, expect: allow}}",
        f"{{who: {{groups: [support]}}, {CALL}, without: [reason], expect: deny}}",
        f"{{who: {{groups: [support]}}, {CALL}, without: [evidence], expect: deny}}",
        f"{{who: {{groups: [sales]}}, {CALL}, expect: deny}}",
    ],
)
def test_reason_and_evidence_are_taken_as_given_unless_left_out(policy: Write, example: str) -> None:
    """An example is about the call; `without` makes it about what is missing."""
    loaded = policy(f"{REFUNDS}  - {example}\n")
    [result] = examples.run(loaded.documents[0], loaded, TOOLS)
    assert result.passed
    assert result.line == 10


def test_a_broken_example_stops_the_load_and_names_the_rules(refused: Refuse) -> None:
    """The remedy names the rules that decided."""
    error = refused(f"{REFUNDS}  - {{who: {{groups: [support]}}, {CALL.replace('900', '9000')}, expect: allow}}\n")
    assert error.line == 10
    assert "expects allow, but the policies say deny: Policy does not allow this call: `cents`" in error.message
    assert "refunds/billing_refund/max.cents" in error.remedy


def test_an_example_is_asked_of_all_policies_together(refused: Refuse) -> None:
    """What another team's file forbids is forbidden, whatever this file expects."""
    ban = "policy: ban\napplies_to: {groups: [support]}\ntools: {billing_refund: deny}\n"
    error = refused(f"{REFUNDS}  - {{who: {{groups: [support]}}, {CALL}, expect: allow}}\n", ban)
    assert "ban/billing_refund/deny" in error.remedy


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("call: billing_refnd", "No tool is named billing_refnd."),
        ("call: billing_refund, args: {invoice: inv_1, cents: many, reason: fraud}", "`cents`"),
        ("call: billing_refund, args: {invoice: inv_1}", "`cents`"),
    ],
)
def test_an_example_of_an_impossible_call_is_refused(refused: Refuse, call: str, message: str) -> None:
    """A call that no model accepts proves nothing, even where `deny` is expected."""
    assert message in refused(f"{REFUNDS}  - {{who: {{groups: [support]}}, {call}, expect: deny}}\n").message
