"""docs/approving.md: what an approver is shown, and what a denial does, in a running demo."""

from __future__ import annotations

from gateway.demo.stage import effects
from gateway.policy.document import Approval
from tests.pages.conftest import Played
from tests.pages.page import Page

PAGE = Page("docs/approving.md")


def test_an_approver_sees_what_the_page_shows(reader: Played) -> None:
    """The card, its untrusted part below the facts, and a denial after which nothing was sent."""
    reader.console.play(*PAGE.blocks("console"))
    assert effects(reader.demo.world, "/invoices/inv_1002/refunds") == []


def test_the_time_for_the_execution_is_the_default() -> None:
    """15 minutes, as the language says."""
    assert "15 minutes after the last vote" in PAGE.text
    assert Approval.model_fields["execute_within"].default == 15 * 60
