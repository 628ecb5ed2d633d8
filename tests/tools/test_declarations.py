"""How a tool is declared: what cannot be one is told when its module loads, with its line and what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from gateway.connector import Askable, Connector, Input, Output, Risk, Upstream
from gateway.errors import StartupError


class Which(Input):
    """One record."""

    id: str


class Record(Output):
    """A record."""

    id: str


async def silent(args: Which, upstream: Upstream) -> Record:
    return Record(id=args.id)


def plain(args: Which, upstream: Upstream) -> Record:
    """Not asynchronous."""
    return Record(id=args.id)


async def alone() -> Record:
    """No parameters."""
    return Record(id="1")


async def overheard(args: Which, upstream: Upstream, caller: str) -> Record:
    """A third parameter of another kind."""
    return Record(id=args.id)


async def loose(args: dict[str, Any], upstream: Upstream) -> Record:
    """Arguments without a model."""
    return Record(id=args["id"])


async def bare(args: Which, upstream: Upstream) -> dict[str, str]:
    """A result without a model."""
    return {"id": args.id}


async def Loud(args: Which, upstream: Upstream) -> Record:
    """A name that clients refuse."""
    return Record(id=args.id)


async def asking(args: Which, upstream: Upstream, caller: Askable) -> Record:
    """Asks its caller's client."""
    return Record(id=args.id)


async def sound(args: Which, upstream: Upstream) -> Record:
    """Nothing is wrong with it."""
    return Record(id=args.id)


@pytest.mark.parametrize(
    ("function", "terms", "what", "remedy"),
    [
        (silent, {}, "shelf_silent has no docstring.", "when an agent should call"),
        (
            plain,
            {},
            "shelf_plain is no async function of two or three parameters.",
            "`async def plain(args, upstream)`",
        ),
        (
            alone,
            {},
            "shelf_alone is no async function of two or three parameters.",
            "`async def alone(args, upstream)`",
        ),
        (overheard, {}, "shelf_overheard: the third parameter is no caller.", "Caller or Askable"),
        (loose, {}, "shelf_loose: the first parameter is no Input.", "derives from Input"),
        (bare, {}, "shelf_bare: the return type must be an Output model.", "Annotate it"),
        (Loud, {}, "shelf_Loud: clients do not take the name.", "at most 48"),
        (asking, {}, "shelf_asking is a write, and would ask", "Ask in a read"),
        (sound, {"sensitive": ("name",)}, "shelf_sound: 'name' is not an argument.", "There are: id."),
        (sound, {"spend": "cents", "currency": "USD"}, "shelf_sound: 'cents' is not an argument.", "There are: id."),
        (sound, {"spend": "id"}, "shelf_sound: one of `spend` and `currency` is missing.", "Give both"),
    ],
)
def test_what_cannot_be_a_tool_is_told_with_its_line_and_what_to_write(
    function: Callable[..., Any], terms: dict[str, Any], what: str, remedy: str
) -> None:
    """A connector's author is shown the place and the correction, before anything is served."""
    with pytest.raises(StartupError) as told:
        Connector("shelf", base_url="https://shelf.example").write(risk=Risk.LOW, **terms)(function)
    assert what in told.value.message
    assert remedy in (told.value.remedy or "")
    assert (told.value.file, told.value.line) == (__file__, function.__code__.co_firstlineno)


def test_two_functions_of_one_name_are_no_two_tools() -> None:
    """The second would take the first one's place in policies and on the ledger."""
    shelf = Connector("shelf", base_url="https://shelf.example")
    shelf.read()(sound)
    with pytest.raises(StartupError, match=r"Tool shelf_sound is declared twice\. Rename"):
        shelf.read()(sound)
