"""Nothing of the documentation leads nowhere, and no page of it is lost."""

from __future__ import annotations

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
