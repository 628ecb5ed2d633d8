"""The policies in `policies/`, in force together over the connectors that are compiled in."""

from __future__ import annotations

from pathlib import Path

import policies
from connectors.billing import billing
from connectors.crm import crm
from connectors.tickets import tickets
from gateway.model import Kind, Principal
from gateway.policy.live import load

TOOLS = {**billing.tools, **crm.tools, **tickets.tools}


def test_the_shipped_policies_are_sound() -> None:
    """They load against the built-in connectors, every example holds, and each group sees all eight tools."""
    policy = load([Path(policies.__path__[0])], TOOLS)
    agent = Principal("acme", "demo", Kind.AGENT, frozenset({"support"}))
    operator = Principal("acme", "ines", Kind.HUMAN, frozenset({"operators"}))
    stranger = Principal("acme", "nobody", Kind.AGENT, frozenset({"sales"}))
    assert policy.visible(agent) == policy.visible(operator) == set(TOOLS)
    assert policy.visible(stranger) == set()
