"""docs/security.md: a threat names promises and a test that proves one; what is not built is not promised."""

from __future__ import annotations

import re

import pytest

from tests.pages.page import Page
from tests.promises import NUMBER, cited, promised

PAGE = Page("docs/security.md")
THREATS = re.findall(r"^\| (.+?) \| (.+?) \| (.+?) \| \[`(test_\w+)`\]\(\.\./(tests/[\w/]+\.py)\) \|$", PAGE.text, re.M)


def test_the_table_of_threats_is_read_whole() -> None:
    """Every row below its head has the form that the next test reads."""
    rows = [line for line in PAGE.section("Threats").splitlines() if line.startswith("| ")]
    assert len(rows) - 1 == len(THREATS) > 15


@pytest.mark.parametrize(("threat", "numbers", "test"), [(row[0], row[2], f"{row[4]}::{row[3]}") for row in THREATS])
def test_what_stops_a_threat_is_promised_and_proved(threat: str, numbers: str, test: str) -> None:
    """Its numbers are on docs/guarantees.md, and its test cites one of them."""
    named = NUMBER.findall(numbers)
    assert named, threat
    assert set(named) <= set(promised())
    assert any(test in cited()[number] for number in named)


def test_what_is_said_not_to_be_built_is_not_promised() -> None:
    """Whoever builds one of these promises it in the guarantees, and takes it off this list."""
    listed = {number for row in re.findall(r"^\| .+ \|(.*)\|$", PAGE.text.split("**Not built yet.**")[1], re.M)
              for number in NUMBER.findall(row)}  # fmt: skip
    assert len(listed) > 10
    assert listed & set(promised()) == set()
    assert listed & set(cited()) == set()
