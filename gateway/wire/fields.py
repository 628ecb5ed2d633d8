"""The header fields of one request, read once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

from gateway.frozen import statically_frozen

_NONE: Final[frozenset[str]] = frozenset()
_ACCEPT: Final = b"accept"


@statically_frozen
class Fields:
    """Header fields by lower-case name."""

    values: dict[str, str]
    """The first value of each."""
    repeated: frozenset[str]
    """The names that came more than once."""

    def one(self, name: str) -> str | None:
        """The value of a field that came exactly once."""
        return None if name in self.repeated else self.values.get(name)


def fields_of(raw: Sequence[tuple[bytes, bytes]]) -> Fields:
    """The fields of an ASGI scope.

    HTTP's parser leaves blanks at the end of a value, and they are no part of it (RFC 9110, 5.5).
    """
    # From the last one on, so that the first of a repeated field is the one that stays.
    values = {name.decode("latin-1"): value.strip(b" \t").decode("latin-1") for name, value in reversed(raw)}
    if len(values) == len(raw):
        return Fields(values, _NONE)
    counts = Counter(name.decode("latin-1") for name, _ in raw)
    return Fields(values, frozenset(name for name, count in counts.items() if count > 1))


def with_one_accept(raw: Sequence[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The fields with what a client accepts in a single one: a list may be spread over several (RFC 9110, 5.3)."""
    others = [field for field in raw if field[0] != _ACCEPT]
    return [*others, (_ACCEPT, b", ".join(value for name, value in raw if name == _ACCEPT))]
