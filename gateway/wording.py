"""How counts are told to people and agents."""

from __future__ import annotations


def counted(count: int, one: str, many: str = "") -> str:
    """A count with its noun: `1 call`, `2 calls`.

    Args:
        many: the plural, where it is not `one` with an s.
    """
    return f"{count} {one if count == 1 else many or one + 's'}"
