"""The header fields of one request, read once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Fields:
    """Header fields by lower-case name."""

    values: dict[str, str]
    """The first value of each."""
    repeated: frozenset[str]
    """The names that came more than once."""

    def one(self, name: str) -> str | None:
        """The value of a field that came exactly once."""
        return None if name in self.repeated else self.values.get(name)


def fields_of(raw: Iterable[tuple[bytes, bytes]]) -> Fields:
    """The fields of an ASGI scope.

    HTTP's parser leaves blanks at the end of a value, and they are no part of it (RFC 9110, 5.5).
    """
    values: dict[str, str] = {}
    repeated: set[str] = set()
    for name, value in raw:
        key = name.decode("latin-1")
        if key in values:
            repeated.add(key)
        else:
            values[key] = value.strip(b" \t").decode("latin-1")
    return Fields(values, frozenset(repeated))
