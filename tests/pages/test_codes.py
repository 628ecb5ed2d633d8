"""docs/codes.md: every code that an agent may meet, in the words in which it meets it."""

from __future__ import annotations

import re

from gateway.errors import CODES
from tests.pages.page import Page

PAGE = Page("docs/codes.md")


def test_every_code_is_on_its_page_and_no_other() -> None:
    """An agent's author finds each stable code, and no code that is never sent."""
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.text, re.MULTILINE)) == set(CODES)


def test_a_code_is_told_as_it_is() -> None:
    """Retry and next step stand on the page as an agent gets them."""
    for code in CODES.values():
        assert f"| `{code.name}` | {code.retry} | {code.next} |" in PAGE.text
