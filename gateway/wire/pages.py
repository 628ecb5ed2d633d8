"""The list of tools in pages: one, unless it is longer than a client takes in one message (clients.md 2, 13)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from mcp.shared.exceptions import MCPError
from mcp_types import INVALID_PARAMS

from gateway.tools.portable import compact_size

MAX_PAGE_BYTES: Final = 1_000_000
"""Of the tools in one answer: the Python SDK's client gives up on an event of 1 MiB. Many clients read one page."""

LIST_TTL_MS: Final = 60_000
"""How long a client may keep the list; changes are announced before that."""

Pages = Sequence[Sequence[dict[str, Any]]]


def paged(tools: Sequence[dict[str, Any]]) -> Pages:
    """`tools` in their order, on as few pages as hold them; no tools are one empty page."""
    pages: list[list[dict[str, Any]]] = [[]]
    room = MAX_PAGE_BYTES
    for tool in tools:
        size = compact_size(tool) + 1
        if size > room and pages[-1]:
            pages.append([])
            room = MAX_PAGE_BYTES
        pages[-1].append(tool)
        room -= size
    return pages


def page(pages: Pages, cursor: str | None) -> dict[str, Any]:
    """The result of `tools/list`: the page after the tool that `cursor` names, and the next cursor if there is one.

    Raises:
        MCPError: invalid params, for a cursor that no page of this list gave: it was made up, or the list has changed.
    """
    number = 0
    if cursor is not None:
        ends = [read[-1]["name"] for read in pages[:-1]]
        if cursor not in ends:
            raise MCPError(INVALID_PARAMS, "Unknown cursor. List the tools again from the beginning.")
        number = ends.index(cursor) + 1
    further = {"nextCursor": pages[number][-1]["name"]} if number + 1 < len(pages) else {}
    return {
        "resultType": "complete",
        "tools": pages[number],
        **further,
        "ttlMs": LIST_TTL_MS,
        "cacheScope": "private",
    }
