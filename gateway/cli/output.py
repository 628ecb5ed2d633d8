"""What a verb prints: JSON for programs, tables for people. Nothing is ever read as markup (semantics.md H-12)."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from gateway.cli.inert import inert
from gateway.errors import StartupError

_UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
"""Seconds, and what so many are called."""


def console(*, stderr: bool = False) -> Console:
    """A console that takes text for text: no markup, no emoji names, no guessed colours."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False, soft_wrap=True)


def say(*lines: str) -> None:
    """Lines of our own words on stdout."""
    for line in lines:
        console().print(line)


def emit(value: Any) -> None:
    """One JSON value on stdout. ASCII only, so that no character in it can act on a terminal."""
    sys.stdout.write(json.dumps(value, ensure_ascii=True, default=str) + "\n")
    sys.stdout.flush()


def problem_of(error: StartupError) -> dict[str, Any]:
    """One problem of a start, for programs."""
    return {"file": error.file, "line": error.line, "message": error.message, "remedy": error.remedy or None}


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A plain table; every cell is inert. On a terminal that is too narrow for it a record follows the other.

    An id that is folded into a column cannot be copied any more. Two columns are a name and its value: those wrap.
    """
    cells = [[Text("" if cell is None else inert(cell)) for cell in row] for row in rows]
    out = console()
    if not out.is_terminal:
        out.width = 10_000
    widest = [max(map(cell_len, (name, *(row[at].plain for row in cells)))) for at, name in enumerate(columns)]
    if len(columns) > 2 and sum(widest) + 2 * (len(columns) - 1) > out.width:
        _records(out, columns, cells)
        return
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        grid.add_column(column, overflow="fold")
    for row in cells:
        grid.add_row(*row)
    out.print(grid)


def _records(out: Console, columns: Sequence[str], rows: Iterable[Sequence[Text]]) -> None:
    indent = max(map(len, columns)) + 2
    for number, row in enumerate(rows):
        if number:
            out.print()
        for name, cell in zip(columns, row, strict=True):
            if cell:
                out.print(Text.assemble((name.ljust(indent), "bold"), cell))


def moment(milliseconds: int | None) -> str | None:
    """A store time as RFC 3339, in UTC."""
    from gateway.replies import rfc3339

    return None if milliseconds is None else rfc3339(milliseconds)


def time_left(milliseconds: int) -> str:
    """How long there is still time, in its two largest units, never rounded up: `3 h 59 min`, `45 s`, or `none`."""
    seconds = milliseconds // 1000
    for (large, its_name), (small, smaller_name) in pairwise(_UNITS):
        if seconds >= large:
            rest = seconds % large // small
            return f"{seconds // large} {its_name}" + (f" {rest} {smaller_name}" if rest else "")
    return f"{seconds} s" if seconds > 0 else "none"
