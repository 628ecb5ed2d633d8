"""Nothing of the documentation leads nowhere, no page of it is lost, and no command of it is only written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.pages.page import DOCS, ROOT, Page

PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for folder in (ROOT, DOCS, *(ROOT / name for name in ("policies", "connectors", "examples", "deploy", "bench")))
    for path in (folder.glob("*.md") if folder == ROOT else folder.rglob("*.md"))
)


@pytest.mark.parametrize("path", PAGES)
def test_every_link_leads_to_what_is_there(path: str) -> None:
    """The file exists in the repository, and has the heading that is named behind `#`."""
    page = Page(path)
    dead = []
    for link in page.links:
        file, _, anchor = link.partition("#")
        target = (page.path.parent / file).resolve() if file else page.path
        if not target.exists() or (anchor and anchor not in Page(target.relative_to(ROOT).as_posix()).anchors):
            dead.append(link)
    assert not dead


def test_every_page_is_in_the_index() -> None:
    """docs/README.md links each page beside it, and the decisions."""
    linked = {Path(link.partition("#")[0]) for link in Page("docs/README.md").links}
    missing = {path.name for path in DOCS.glob("*.md")} - {path.name for path in linked} - {"README.md"}
    assert not missing
    assert Path("decisions/README.md") in linked


def test_every_page_with_commands_is_played() -> None:
    """A `console` block stands only on a page whose commands some test runs."""
    with_commands = {
        path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.md") if "```console" in path.read_text()
    }
    played = {
        page
        for test in (ROOT / "tests").rglob("*.py")
        if "console.play(" in (text := test.read_text(encoding="utf-8"))
        for page in re.findall(r'Page\("(docs/.+?)"\)', text)
    }
    assert with_commands <= played


def test_every_variable_of_the_environment_is_told() -> None:
    """What the program reads of its environment under our name is on the page of commands or of settings."""
    pages = Page("docs/cli.md").text + Page("docs/settings.md").text
    for path in (ROOT / "gateway").rglob("*.py"):
        if "demo" not in path.parts:  # whose settings name one of their own
            for name in re.findall(r"\bHOLDGATE_[A-Z_]+\b", path.read_text(encoding="utf-8")):
                assert name in pages, name
