"""Text from agents, customers and upstreams, made harmless to look at (semantics.md H-12, T-6, S21).

A terminal obeys control characters, and a reader is fooled by what cannot be seen. Both are spelled out.
"""

from __future__ import annotations

import json
import unicodedata
from typing import Any

FOLD = 300
"""Characters of one value that are shown before it is folded."""

_UNSEEN_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANK = frozenset("\u115f\u1160\u2800\u3164\uffa0\u034f\u17b4\u17b5")
"""Letters and marks by category, and nothing to the eye."""


def inert(value: object, *, fold: int | None = None) -> str:
    """`value` as one line in which every character can be seen.

    Args:
        value: text as it is, anything else as JSON.
        fold: show at most so many characters, and say how many there are.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    if fold is not None and len(text) > fold:
        return f"{_seen(text[:fold])} … [folded: {len(text)} characters in all]"
    return _seen(text)


def hides(value: Any) -> bool:
    """Whether `value`, or text anywhere in it, holds a character that a reader would not see."""
    if isinstance(value, str):
        return any(_unseen(character) for character in value if character != "\n")
    if isinstance(value, dict):
        return any(hides(name) or hides(member) for name, member in value.items())
    return isinstance(value, list) and any(map(hides, value))


def _seen(text: str) -> str:
    return "".join(_spelled(character) if _unseen(character) else character for character in text)


def _unseen(character: str) -> bool:
    if character.isascii():
        return not character.isprintable()
    category = unicodedata.category(character)
    return (
        category in _UNSEEN_CATEGORIES
        or character in _BLANK
        or category == "Zs"
        or "VARIATION SELECTOR" in unicodedata.name(character, "")
    )


def _spelled(character: str) -> str:
    return "\\n" if character == "\n" else f"<U+{ord(character):04X}>"
