"""Canonical JSON (RFC 8785): one spelling of a value, for hashes and claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeAlias

import rfc8785
from pydantic_core import to_json

LARGEST: Final = 2**53 - 1
"""The whole numbers up to which a double tells each from the next."""
NotCanonical: TypeAlias = rfc8785.CanonicalizationError
"""A value has no canonical spelling."""


def dumps(value: Any) -> bytes:
    """The canonical bytes of a JSON value.

    The library spells in Python. Where nothing is left to spell but text, whole numbers and plain names, Pydantic's
    encoder writes the same bytes thirty times as fast; a property test holds the two equal.

    Raises:
        NotCanonical: it is no JSON, or a whole number that doubles cannot hold.
    """
    try:
        return to_json(_in_order(value))
    except (TypeError, ValueError):
        return rfc8785.dumps(value)


def dumps_said(members: Mapping[str, Any]) -> bytes:
    """`dumps` of an object without the members that are null.

    Raises:
        NotCanonical: as `dumps`.
    """
    try:
        # As `_in_order` does with each object; to look for the null ones beforehand would take as long again.
        if "".join(members).isascii():
            return to_json(
                {
                    name: member if type(member) is str else _in_order(member)
                    for name in sorted(members)
                    if (member := members[name]) is not None
                }
            )
    except (TypeError, ValueError):
        pass
    return rfc8785.dumps({name: member for name, member in members.items() if member is not None})


def _in_order(value: Any) -> Any:
    """The same value with its names in order, where nothing else matters: for such names text sorts as UTF-16 does.

    Raises:
        TypeError, ValueError: something else may matter.
    """
    kind = type(value)
    if kind is str or kind is bool or value is None:
        return value
    if kind is int and -LARGEST <= value <= LARGEST:
        return value
    if kind is dict and "".join(value).isascii():
        return {name: member if type(member := value[name]) is str else _in_order(member) for name in sorted(value)}
    if kind is list:
        return [_in_order(item) for item in value]
    raise ValueError("not plain")
