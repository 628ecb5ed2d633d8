"""What is promised and what is tested are one list: `docs/guarantees.md`, and the numbers that tests cite."""

from __future__ import annotations

import re

from tests.promises import GUARANTEES, cited, promised

REQUIRED = {
    *(f"S{number}" for number in range(1, 10)),
    *("S11", "S12", "S14", "S16", "S17", "S18", "S22", "S25", "S29", "S30", "S31", "S32", "S34", "S35", "S40", "S43"),
}
"""The scenarios without which there is no release."""


def test_every_promise_names_a_test_that_cites_it() -> None:
    """A line of the guarantees is kept by the test it points to, and that test knows it."""
    broken = {number: test for number, test in promised().items() if test not in cited()[number]}
    assert not broken, "these are cited elsewhere: " + str({number: sorted(cited()[number]) for number in broken})


def test_every_number_that_a_test_cites_is_promised() -> None:
    """What is proved is told: no number stands in a test alone."""
    untold = {number: sorted(tests) for number, tests in cited().items() if tests and number not in promised()}
    assert not untold


def test_every_required_scenario_is_promised() -> None:
    """Crashes, races, lost answers and failing parts: none of the required scenarios is left out."""
    assert REQUIRED - set(promised()) == set()


def test_the_list_is_read_whole() -> None:
    """Every row of the guarantees has the form that these tests read, and its number once."""
    rows = re.findall(r"^\| (?:S\d|[A-Z]-).*$", GUARANTEES.read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) == len(promised()) > 0
