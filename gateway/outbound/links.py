"""Where a `Link` header says that the next page is (RFC 8288). Pure rules; nothing here asks for it."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qsl, urlsplit

_LINK: Final = re.compile(r'<([^<>]*+)>((?:[^,"<]|"(?:[^"\\]|\\.)*+")*+)[\s,]*+')
"""A target, what is said of it, and the comma after it: none of them is ever gone back on."""
_SAID: Final = re.compile(r';\s*+([^\s=;"]++)\s*+(?:=\s*+("(?:[^"\\]|\\.)*+"|[^\s;"]*+))?+')


class BadLink(ValueError):
    """A header from which the next page cannot be told. `str()` says why, and holds nothing of it."""


def next_page(link: str) -> dict[str, str] | None:
    """The query of the first target that is called `next`; None when there is none.

    Raises:
        BadLink: it is malformed, or the next page is not told by a query that could be asked for. To take that for the
            last page would hide the others, and an empty query is the first page again.
    """
    link, at = link.strip(" \t,"), 0
    while at < len(link):
        found = _LINK.match(link, at)
        if found is None:
            raise BadLink("is malformed")
        if "next" in _relations(found[2]):
            return _query(found[1])
        at = found.end()
    return None


def _relations(said: str) -> list[str]:
    """What a target is called; only the first `rel` counts."""
    for name, value in _SAID.findall(said):
        if name.lower() == "rel":
            return str(value).strip('"').lower().split()
    return []


def _query(target: str) -> dict[str, str]:
    try:
        fields = parse_qsl(urlsplit(target).query, keep_blank_values=True, errors="strict")
    except ValueError:
        raise BadLink("names a next page that is no URL") from None
    if not fields:
        raise BadLink("names a next page that has no query")
    if len(dict(fields)) < len(fields):
        raise BadLink("names a next page whose query has one name twice")
    return dict(fields)
