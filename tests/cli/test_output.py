"""What is said of counts and times reads as somebody would say it."""

from __future__ import annotations

import pytest

from gateway.cli.output import time_left
from gateway.wording import counted
from tests.cli.command import Holdgate


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [
        (14_399_999, "3 h 59 min"),
        (14_400_000, "4 h"),
        (2 * 86_400_000 - 1, "1 d 23 h"),
        (119_999, "1 min 59 s"),
        (3_600_000 + 59_000, "1 h"),
        (999, "none"),
        (0, "none"),
        (-5, "none"),
    ],
)
def test_the_time_that_is_left_is_not_rounded_down_by_an_hour(milliseconds: int, told: str) -> None:
    """Two units at most, and never more than there is."""
    assert time_left(milliseconds) == told


def test_one_is_not_many() -> None:
    """A count and its noun agree."""
    assert [counted(count, "line") for count in (0, 1, 2)] == ["0 lines", "1 line", "2 lines"]
    assert [counted(count, "policy", "policies") for count in (1, 2)] == ["1 policy", "2 policies"]


def test_an_id_stays_whole_on_a_narrow_terminal(holdgate: Holdgate) -> None:
    """What does not fit side by side stands one below the other: an id in pieces cannot be copied."""
    made = holdgate("keys", "create", "a-rather-long-name-of-a-clerk", "--group", "clerks-of-all-kinds", "--days", "90")
    id = made.out.split("_")[1]
    terminal = {"FORCE_COLOR": "1", "NO_COLOR": "1", "COLUMNS": "80"}
    narrow = holdgate("keys", "ls", **terminal).out
    assert f"{id} (until 20" in narrow
    assert "principal" in narrow.splitlines()[0]
    assert "a-rather-long-name-of-a-clerk" in narrow.splitlines()[0]
    wide = holdgate("keys", "ls", **terminal | {"COLUMNS": "200"}).out
    assert {"principal", "kind", "keys"} <= set(
        wide.splitlines()[0].replace("\x1b[1m", "").replace("\x1b[0m", "").split()
    )
