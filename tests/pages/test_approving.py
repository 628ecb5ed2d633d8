"""docs/approving.md: what an approver is shown, and what a denial does, in a running demo."""

from __future__ import annotations

from pathlib import Path

from gateway.demo.stage import effects
from gateway.policy.document import Approval
from tests.demo.running import environment, running_demo
from tests.pages.console import Console
from tests.pages.page import Page

PAGE = Page("docs/approving.md")


def test_an_approver_sees_what_the_page_shows(tmp_path: Path) -> None:
    """The card, its untrusted part below the facts, and a denial after which nothing was sent."""
    (tmp_path / "reader").mkdir()
    with running_demo(tmp_path / "holdgate-demo") as demo:
        variables = {**environment(tmp_path), "HOLDGATE_CONFIG": str(demo.world.home.file)}
        with Console(tmp_path / "reader", variables) as console:
            console.play(*PAGE.blocks("console"))
        assert effects(demo.world, "/invoices/inv_1002/refunds") == []


def test_the_time_for_the_execution_is_the_default() -> None:
    """15 minutes, as the language says."""
    assert "15 minutes after the last vote" in PAGE.text
    assert Approval.model_fields["execute_within"].default == 15 * 60
