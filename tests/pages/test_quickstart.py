"""docs/quickstart.md: every command runs against a real demo, and prints what the page shows."""

from __future__ import annotations

from pathlib import Path

from gateway.demo.stage import effects
from tests.demo.running import environment, running_demo
from tests.pages.console import Console
from tests.pages.page import ROOT, Page

PAGE = Page("docs/quickstart.md")


def test_the_quickstart_is_a_transcript(tmp_path: Path) -> None:
    """Refused, done, replayed, previewed, held, approved and audited as shown; two refunds arrive, each once."""
    (tmp_path / "reader").mkdir()
    with running_demo(tmp_path / "holdgate-demo") as demo:
        variables = {**environment(tmp_path), "HOLDGATE_CONFIG": str(demo.world.home.file)}
        with Console(tmp_path / "reader", variables) as console:
            console.play(*PAGE.blocks("console"))
        assert len(effects(demo.world, "/invoices/inv_1001/refunds")) == 1
        assert len(effects(demo.world, "/invoices/inv_1002/refunds")) == 1


def test_the_start_is_that_of_the_readme() -> None:
    """`make demo` and the two variables are told in the same words in both places, so both are run by one test."""
    readme = Page("README.md").text
    for block in PAGE.blocks("sh"):
        for line in block.splitlines():
            assert line in readme
    assert "\ndemo:" in (ROOT / "Makefile").read_text(encoding="utf-8")
