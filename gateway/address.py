"""The URI of a resource, or a template of such URIs: `crm://customers/{customer}` (RFC 6570, level 1).

A variable fills one whole segment, so a URI names at most one thing and what it names is read off without a search.
A value with a slash, a dot segment or a control character in it, encoded or not, fits no segment.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote, unquote

from gateway.errors import StartupError
from gateway.model import MAX_URI

_DECLARED: Final = re.compile(r"([a-z][a-z0-9+.-]{0,31}):/(/[A-Za-z0-9._~!$&'()*+,;=:@%{}-]+)+")
_VARIABLE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,63})\}")
_SEGMENT: Final = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@%-]+")
_OUTSIDE: Final = re.compile(r"[/\\\x00-\x1f\x7f]")
_FETCHED: Final = frozenset({"http", "https", "file", "data"})
"""Schemes that a client takes as leave to fetch by itself, around the gateway."""


class Address:
    """Where a resource is found.

    Args:
        text: `scheme://segment/segment`; a segment may be one `{variable}`.

    Attributes:
        names: the variables, in their order; none when it is one URI and no template.

    Raises:
        StartupError: it is no such thing.
    """

    def __init__(self, text: str) -> None:
        shape = _DECLARED.fullmatch(text)
        if shape is None or len(text) > MAX_URI // 2:
            raise StartupError(
                f"{text!r} is no URI of a resource.", remedy="Write `scheme://segment/{variable}`, without a query."
            )
        if shape[1] in _FETCHED:
            raise StartupError(
                f"{text!r}: clients fetch {shape[1]}: by themselves, around the gateway.",
                remedy="Use a scheme of your own, such as the connector's name.",
            )
        self.text = text
        self._parts = text.split("/")
        variables = [_VARIABLE.fullmatch(part) for part in self._parts]
        if text.count("{") != sum(map(bool, variables)) or text.count("}") != text.count("{"):
            raise StartupError(
                f"{text!r}: a variable is only a part of its segment.", remedy="Give it all between two slashes."
            )
        self._names = [variable[1] if variable else None for variable in variables]
        self.names: tuple[str, ...] = tuple(name for name in self._names if name is not None)
        if len(set(self.names)) != len(self.names):
            raise StartupError(f"{text!r}: a variable stands in it twice.", remedy="Give each a name of its own.")

    def read(self, uri: str) -> dict[str, str] | None:
        """The values of the variables when `uri` is found here, or None."""
        parts = uri.split("/") if len(uri) <= MAX_URI else []
        if len(parts) != len(self._parts):
            return None
        values: dict[str, str] = {}
        for mine, name, given in zip(self._parts, self._names, parts, strict=True):
            if name is None:
                if mine != given:
                    return None
                continue
            value = _decoded(given)
            if value is None:
                return None
            values[name] = value
        return values

    def filled(self, values: Mapping[str, Any]) -> str:
        """The URI with these values."""
        pairs = zip(self._parts, self._names, strict=True)
        return "/".join(mine if name is None else quote(_text(values[name]), safe="") for mine, name in pairs)

    def clashes(self, other: Address) -> bool:
        """Whether one URI could be found at both, and neither is more exact than the other."""
        return bool(self.names) == bool(other.names) and self.meets(other)

    def meets(self, other: Address) -> bool:
        """Whether one URI could be found at both."""
        if len(self._parts) != len(other._parts):
            return False
        ours, theirs = zip(self._parts, self._names, strict=True), zip(other._parts, other._names, strict=True)
        return all(
            mine == its or my_name is not None or its_name is not None
            for (mine, my_name), (its, its_name) in zip(ours, theirs, strict=True)
        )


def _decoded(segment: str) -> str | None:
    if not _SEGMENT.fullmatch(segment):
        return None
    try:
        value = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        return None
    return None if value in (".", "..") or _OUTSIDE.search(value) else value


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
