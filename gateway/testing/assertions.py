"""What every connector should keep: a preview that only looks, one effect, and no credential in sight."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, TypeAlias

from gateway.connector import JSON, Tool
from gateway.outcome import Outcome, State, Status
from gateway.testing.harness import Harness
from gateway.testing.secrecy import disguises

Record: TypeAlias = Callable[[], Mapping[str, JSON] | Awaitable[Mapping[str, JSON]]]

_CALLERS: Final = 5
_LOOKS: Final = 6
"""How often the gateway asks for an unknown outcome before it leaves it to an operator."""


async def assert_preview_is_pure(
    gate: Harness[Any], tool: str, arguments: Mapping[str, Any], *, record: Record
) -> Outcome:
    """A dry run sends no write and changes nothing, and its diff is exactly what the real call then does.

    Args:
        record: the record that the write changes, as the upstream has it now: field -> value, with at least every
            field of the diff, and without what moves by itself, such as an etag. It is asked before and after, and
            may be an async function, such as one that calls a read.

    Returns:
        The outcome of the real call, which is done.

    Raises:
        AssertionError: saying which of it does not hold.
    """
    before, writes = await _now(record), len(gate.upstream.writes)
    previewed = await gate.call(tool, arguments, dry_run=True)
    _must(len(gate.upstream.writes) == writes, f"the preview of {tool} wrote to the upstream")
    _must(previewed.status is Status.PREVIEWED, f"the preview of {tool} is {_told(previewed)}")
    _must(await _now(record) == before, f"the preview of {tool} changed the record")
    again = await gate.call(tool, arguments, dry_run=True)
    _must(again.diff == previewed.diff, f"two previews of {tool} differ: {previewed.diff} and {again.diff}")
    outcome = await gate.call(tool, arguments)
    _must(outcome.status is Status.DONE, f"{tool} is {_told(outcome)}")
    after = await _now(record)
    shown = {change["field"]: change for change in previewed.diff or ()}
    for field, change in shown.items():
        _must(
            change["before"] == before.get(field),
            f"the preview of {tool} shows {field} as {change['before']!r}, and it was {before.get(field)!r}",
        )
        _must(
            change["certainty"] == "unknown" or change["after"] == after.get(field),
            f"the preview of {tool} promises {field} as {change['after']!r}, and it became {after.get(field)!r}",
        )
    moved = {field for field in before | after if before.get(field) != after.get(field)}
    _must(moved <= shown.keys(), f"{tool} changed {sorted(moved - shown.keys())}, which its preview does not show")
    return outcome


async def assert_single_effect(
    gate: Harness[Any], tool: str, arguments: Mapping[str, Any], *, answer_lost: bool = False
) -> Outcome:
    """The same call made several times at once and then again has one effect; so it has when its answer is lost.

    Args:
        answer_lost: the upstream does it, and its first answer never arrives. The gateway is then given the time to
            find out: an upstream that deduplicates is asked again, and one that can be asked is looked up.

    Returns:
        What the last caller is told: done or replayed; or unknown, where the answer was lost and nobody can tell.

    Raises:
        AssertionError: there was none, or more than one, or a call came to another end.
    """
    before = len(gate.upstream.effects)
    if answer_lost:
        gate.upstream.lose_next_answer()
    first, *_ = await asyncio.gather(*(gate.call(tool, arguments) for _ in range(_CALLERS)))
    if answer_lost:
        await _found_out(gate, first, gate.app.catalogue.tools[tool])
    last = await gate.call(tool, arguments)
    effects = len(gate.upstream.effects) - before
    _must(effects == 1, f"{_CALLERS + 1} equal calls of {tool} had {effects} effects; the last is {_told(last)}")
    good = {Status.DONE, Status.REPLAYED} | ({Status.UNKNOWN} if answer_lost else set())
    _must(last.status in good, f"{tool} is {_told(last)}")
    return last


async def assert_no_credential_seen(gate: Harness[Any]) -> None:
    """The credential's value is in no answer, log line, ledger line or file of the gateway, in no common encoding.

    Raises:
        AssertionError: naming where it is.
    """
    files = (file for file in gate.folder.rglob("*") if file.is_file())
    places = {f"the file {file.name}": file.read_bytes().decode("latin-1") for file in files}
    places["the answers"] = json.dumps(gate.answers, ensure_ascii=False)
    places["the log"] = "\n".join(gate.logs)
    places["the ledger"] = json.dumps(await gate.ledger(), ensure_ascii=False)
    user, _, password = gate.secret.partition(":")
    # As `gateway.outbound.signing` has it: a password of under four characters is no secret, and then the user is.
    half = password if len(password) > 3 else user
    hidden = [disguise for value in (gate.secret, half) for disguise in disguises(value)]
    for place, text in places.items():
        for disguise in hidden:
            _must(disguise not in text, f"the credential is in {place}")


async def _now(record: Record) -> dict[str, JSON]:
    """A copy, because the upstream may change its record in place."""
    asked = record()
    return dict(await asked if isinstance(asked, Awaitable) else asked)


async def _found_out(gate: Harness[Any], outcome: Outcome, tool: Tool) -> None:
    """Let time pass until the action's end is known, or will not be known by itself."""
    for _ in range(_LOOKS):
        if await gate.state(outcome.action_id) is not State.UNKNOWN:
            return
        await gate.advance(tool.timeout + tool.settles_after)


def _must(holds: bool, otherwise: str) -> None:
    """An assertion that `python -O` keeps."""
    if not holds:
        raise AssertionError(otherwise)


def _told(outcome: Outcome) -> str:
    return f"{outcome.status}" + (f" ({outcome.code}: {outcome.message})" if outcome.code else "")
