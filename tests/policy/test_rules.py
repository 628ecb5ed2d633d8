"""Rules: whom they are about, what their conditions mean, and how they are told."""

from dataclasses import replace

import pytest

from gateway.decision import Verdict
from tests.policy.acme import BOT, ask
from tests.policy.conftest import Write
from tests.policy.support import SUPPORT, refund


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
