"""What the policies say of a call can be asked without making it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Holdgate, one_sentence

REFUND = ("policy", "explain", "billing_refund", "--for", "support-agent", "--arg", "invoice=inv_1001")


def test_the_verdict_comes_with_the_lines_that_made_it(home: Path, holdgate: Holdgate) -> None:
    """Held, for whom, and by which line of which file; nothing is recorded, for nothing was called."""
    before = holdgate("ledger", "tail", "--json").out
    told = holdgate(*REFUND, "--arg", "cents=9000", "--arg", "cause=damaged", "--json")
    assert (told.code, told.json["verdict"], told.json["needs"]) == (0, "hold", "1 of finance")
    (rule,) = told.json["rules"]
    assert rule["id"] == "support-agents/billing_refund/approve_over.cents"
    assert "approve_over" in (home / "policies" / "support-agents.yaml").read_text().splitlines()[rule["line"] - 1]
    assert f"{rule['file']}:{rule['line']}" in holdgate(*REFUND, "--arg", "cents=9000", "--arg", "cause=damaged").out
    assert holdgate("ledger", "tail", "--json").out == before


def test_a_denied_call_exits_with_1(holdgate: Holdgate) -> None:
    """A script asks as it asks `test`; a reason and evidence are taken as given unless they are said to lack."""
    small = (*REFUND, "--arg", "cents=900", "--arg", "cause=damaged")
    assert holdgate(*small).code == 0
    lacking = holdgate(*small, "--without", "reason", "--without", "evidence", "--json")
    assert (lacking.code, lacking.json["code"]) == (1, "needs_evidence")
    assert holdgate("policy", "explain", "billing_refund", "--for", "operator", *small[5:], "--json").json["needs"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("billing_refnd", "--for", "support-agent"), "There is no tool billing_refnd."),
        (("billing_refund", "--for", "nobody"), "There is no principal nobody. There are: operator, support-agent."),
        (("billing_refund", "--for", "operator", "--arg", "cents=0"), "See `holdgate tools show billing_refund`."),
    ],
)
def test_what_cannot_be_asked_is_told(holdgate: Holdgate, words: tuple[str, ...], told: str) -> None:
    """A tool or a person that there is not, and arguments that no call could have."""
    assert told in one_sentence(holdgate("policy", "explain", *words), 1)


def test_what_somebody_may_call_at_all_is_listed(home: Path, holdgate: Holdgate) -> None:
    """An access review asks for one principal: what no policy grants it is left out, as it is for the agent (T-5)."""

    def granted() -> set[str]:
        return {tool["name"] for tool in holdgate("tools", "ls", "--for", "support-agent", "--json").json}

    everything = {tool["name"] for tool in holdgate("tools", "ls", "--json").json}
    assert granted() == everything
    policy = home / "policies" / "support-agents.yaml"
    policy.write_text(policy.read_text().replace("crm_find_customer: allow", "crm_find_customer: deny"))
    assert granted() == everything - {"crm_find_customer"}
    assert "There is no principal nobody." in one_sentence(holdgate("tools", "ls", "--for", "nobody"), 1)
