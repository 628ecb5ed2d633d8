"""Characters that do not show and still count: one table for whoever removes, refuses or looks through them (T-2, C-6).

The command line spells out far more of them, because a person decides on what it prints: see `cli.inert`.
"""

from __future__ import annotations

from typing import Final

CONTROLS: Final = "\\x00-\\x1f\\x7f-\\x9f"
"""Control characters, newline and tab included; the inside of a character class, like the others here."""

FORMATTING: Final = (
    "\\xad\\u034f\\u061c\\u115f\\u1160\\u17b4\\u17b5\\u180b-\\u180f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u206f\\u3164"
    "\\ufe00-\\ufe0f\\ufeff\\uffa0\\ufff9-\\ufffb\\U000e0000-\\U000e0fff"
)
"""Zero-width and bidirectional characters, fillers, variation selectors, annotation marks, tags that smuggle ASCII."""

SURROGATES: Final = "\\ud800-\\udfff"
"""Halves of pairs, which is also how bytes that are no UTF-8 come out of `surrogateescape`."""
