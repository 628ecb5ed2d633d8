"""docs/concepts.md: each term in two sentences, and the promise that each rests on."""

from __future__ import annotations

import re

import pytest

from gateway.outcome import Status
from tests.pages.page import DOCS, ROOT, Page
from tests.promises import promised

PAGE = Page("docs/concepts.md")
TERMS = dict(re.findall(r"^\| \*\*(.+?)\*\* \| (.+) \|$", PAGE.text, re.MULTILINE))
NUMBERED = re.compile(r"\[(S\d+|[A-Z]-\d+)\]\((?:\.\./docs/)?guarantees\.md#([\w-]+)\)")
ASKED_FOR = {
    *("principal", "tool", "policy", "preview", "hold", "approval", "idempotency key", "intent", "outcome"),
    *("ledger", "lease", "task", "budget", "unknown"),
}


def test_every_term_is_explained_in_two_sentences_and_rests_on_a_promise() -> None:
    """Brief, and with the guarantee behind it."""
    assert set(TERMS) >= ASKED_FOR
    for term, text in TERMS.items():
        plain = re.sub(r"\(\[.*", "", text).strip()
        assert len(re.findall(r"\.( |$)", plain + ".")) == 2, term
        assert NUMBERED.search(text), term


@pytest.mark.parametrize("path", sorted(path.relative_to(ROOT).as_posix() for path in DOCS.glob("*.md")))
def test_a_promise_that_a_page_links_is_made_in_that_section(path: str) -> None:
    """`[I-4](guarantees.md#once)` names a promise that is made, under that heading."""
    guarantees = Page("docs/guarantees.md")
    titles = {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): title for title in _titles(guarantees)}
    for number, anchor in NUMBERED.findall(Page(path).text):
        assert number in promised(), number
        assert f"\n| {number} |" in guarantees.section(titles[anchor]), (number, anchor)


def test_every_status_is_an_end_in_the_picture() -> None:
    """What an answer can say it is, but for what is still under way."""
    (picture,) = PAGE.blocks("mermaid")
    ends = set(re.findall(r"\[\"(\w+(?: or \w+)?)<br>", picture))
    assert {word for end in ends for word in end.split(" or ")} >= {str(status) for status in Status} - {"running"}


def _titles(page: Page) -> list[str]:
    return re.findall(r"^## (.+)$", page.text, re.MULTILINE)
