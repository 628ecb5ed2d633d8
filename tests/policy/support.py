"""The policy that most tests of a decision are about, and the arguments of one refund."""

from tests.policy.acme import REFUND

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
    """One refund that is within all terms, but for what is changed in it."""
    return {**REFUND, **changed}
