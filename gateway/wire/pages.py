"""A list in pages: one, unless it is longer than a client takes in one message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from mcp.shared.exceptions import MCPError

from gateway.tools.portable import compact_size
from gateway.wire.json_rpc import INVALID_PARAMS

MAX_PAGE_BYTES: Final = 1_000_000
"""Of the entries in one answer: the Python SDK's client gives up on an event of 1 MiB. Many clients read one page."""

LIST_TTL_MS: Final = 60_000
"""How long a client may keep the list; changes are announced before that."""

Pages = Sequence[Sequence[Mapping[str, Any]]]


def paged(entries: Sequence[Mapping[str, Any]]) -> Pages:
    """`entries` in their order, on as few pages as hold them; no entries are one empty page."""
    pages: list[list[Mapping[str, Any]]] = [[]]
    room = MAX_PAGE_BYTES
    for entry in entries:
        size = compact_size(entry) + 1
        if size > room and pages[-1]:
            pages.append([])
            room = MAX_PAGE_BYTES
        pages[-1].append(entry)
        room -= size
    return pages


def page(pages: Pages, cursor: str | None, what: str = "tools") -> dict[str, Any]:
    """The result of `tools/list` and the like: the page after the entry that `cursor` names, and the next cursor.

    It holds for the one who asked, and for nobody else (semantics.md A-7).

    Args:
        what: the member that holds the entries.

    Raises:
        MCPError: invalid params, for a cursor that no page of this list gave: it was made up, or the list has changed.
    """
    number = 0
    if cursor is not None:
        ends = [read[-1]["name"] for read in pages[:-1]]
        if cursor not in ends:
            raise MCPError(INVALID_PARAMS, f"Unknown cursor. List the {what} again from the beginning.")
        number = ends.index(cursor) + 1
    further = {"nextCursor": pages[number][-1]["name"]} if number + 1 < len(pages) else {}
    return {
        "resultType": "complete",
        what: pages[number],
        **further,
        "ttlMs": LIST_TTL_MS,
        "cacheScope": "private",
    }
