"""Text that was made to deceive a reader is shown so that it cannot."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.cli.inert import hides, inert


@pytest.mark.parametrize(
    "character",
    [
        "\x00",
        "\x1b",
        "\x7f",
        "\x9b",
        "\r",
        "\u00a0",
        "\u00ad",
        "\u200b",
        "\u202e",
        "\u2066",
        "\u3164",
        "\ufe0f",
        "\U000e0041",
    ],
)
def test_what_cannot_be_seen_is_spelled_out(character: str) -> None:
    """Controls, bidi overrides, blanks, variation selectors and tags become their code points (H-12)."""
    assert inert(f"a{character}b") == f"a<U+{ord(character):04X}>b"
    assert hides({"deep": [f"a{character}b"]})


def test_ordinary_writing_stays_readable() -> None:
    """Letters of every script, and newlines as two visible characters, are not taken for an attack."""
    text = "Åsa, Мария, 田中, مرحبا, 🙂"
    assert inert(text) == text
    assert inert("two\nlines") == "two\\nlines"
    assert not hides(["two\nlines", text])


def test_a_fold_says_how_much_there_is() -> None:
    """Folding never hides that there is more."""
    assert inert("x" * 1000, fold=10) == "x" * 10 + " … [folded: 1000 characters in all]"


@given(st.text())
def test_every_text_becomes_one_printable_line(text: str) -> None:
    """Whatever an agent writes is one line of printable characters."""
    assert inert(text).isprintable()
