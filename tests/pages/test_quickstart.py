"""docs/quickstart.md: every command runs against a real demo, and prints what the page shows."""

from __future__ import annotations

from gateway.demo.stage import effects
from tests.pages.conftest import Played
from tests.pages.page import ROOT, Page

PAGE = Page("docs/quickstart.md")


def test_the_quickstart_is_a_transcript(after_quickstart: Played) -> None:
    """Refused, done, replayed, previewed, held, approved and audited as shown; two refunds arrive, each once."""
    world = after_quickstart.demo.world
    assert len(effects(world, "/invoices/inv_1001/refunds")) == 1
    assert len(effects(world, "/invoices/inv_1002/refunds")) == 1


def test_the_start_is_that_of_the_readme() -> None:
    """`make demo` and the two variables are told in the same words in both places, so both are run by one test."""
    readme = Page("README.md").text
    for block in PAGE.blocks("sh"):
        for line in block.splitlines():
            assert line in readme
    assert "\ndemo:" in (ROOT / "Makefile").read_text(encoding="utf-8")
