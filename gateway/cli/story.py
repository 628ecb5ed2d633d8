"""Ledger lines in words: one a line for a list, and in order for the story of one action."""

from __future__ import annotations

from typing import Any

from gateway.cli.inert import FOLD, inert
from gateway.cli.output import console, moment
from gateway.wording import counted

_PLAIN = frozenset({"v", "seq", "writer", "at", "event", "prev", "hash", "tenant", "action"})
_SAME_EACH_TIME = frozenset(
    {"api_key", "credential", "effect", "fingerprint", "mode", "principal", "schema", "task", "task_source", "tool"}
)
_MOMENTS = frozenset({"expires", "expires_at"})
_TELLING = (
    *("tool", "principal", "purpose", "state", "status", "code", "times", "how", "verdict", "why"),
    *("change", "credential", "scope", "target", "by", "because", "instance", "unfinished"),
)


def one_line(facts: dict[str, Any]) -> str:
    """A line of the ledger, short."""
    told = dict(facts)
    if facts["event"] != "CONFIG":
        told["credential"] = None
    if facts.get("status") == facts.get("state"):
        told["status"] = None
    if "unfinished" in facts:
        told["unfinished"] = f"{counted(facts['unfinished'], 'call')} unfinished" if facts["unfinished"] else None
    if facts.get("times"):
        told["times"] = f"{counted(facts['times'], 'time')} more"
    if facts.get("accepted") is False:
        told["verdict"] = f"not accepted: {facts.get('verdict')}"
    words = [inert(told[name], fold=80) for name in _TELLING if told.get(name) is not None]
    action = f" {facts['action']}" if "action" in facts else ""
    return f"{facts['seq']:>6} {moment(facts['at'])} {facts['event']:<12}{inert(action)} {' '.join(words)}"


def print_story(id: str, lines: list[dict[str, Any]], bodies: dict[str, Any]) -> None:
    """What happened to one action, from its first line to its last.

    Args:
        bodies: decrypted, by kind; None for one that is no longer kept.
    """
    out = console()
    first = lines[0]
    out.print(f"{inert(id)}: {inert(first.get('tool'))} ({first.get('effect')}, {first.get('mode')})")
    for name in ("principal", "on_behalf_of", "task", "task_source", "api_key", "credential", "schema"):
        if first.get(name) is not None:
            out.print(f"  {name:<14} {inert(first[name], fold=FOLD)}")
    for facts in lines:
        out.print(f"{facts['seq']:>6} {moment(facts['at'])} {_sentence(facts)}")
        for name in sorted(facts.keys() - _PLAIN - _SAME_EACH_TIME):
            value = moment(facts[name]) if name in _MOMENTS else inert(facts[name], fold=FOLD)
            out.print(f"         {name:<14} {value}")
    for kind, body in bodies.items():
        out.print(f"{kind} (decrypted)" if body is not None else f"{kind}: not kept, or not kept any more")
        for name, value in (body or {}).items():
            if value is not None:
                out.print(f"  {inert(name):<14} {inert(value, fold=10 * FOLD)}")


def _sentence(facts: dict[str, Any]) -> str:
    who = inert(facts.get("principal") or facts.get("by") or "somebody")
    match facts["event"]:
        case "REFUSED":
            more = facts.get("times")
            said = f"Refused {counted(more, 'time')} more; nothing went out." if more else "Refused; nothing went out."
        case "PREVIEW":
            said = "Looked at, with reads only."
        case "HOLD_CREATED":
            said = "Held for approval."
        case "VOTE":
            said = f"{who} voted to {facts.get('verdict')}." + ("" if facts.get("accepted") else " It did not count.")
        case "HOLD_DECIDED":
            said = f"The hold is {facts.get('state')}."
        case "CONSUMED":
            said = "The approval was spent."
        case "INTENT":
            said = "Intended: from here on something may have been sent."
        case "OUTCOME":
            said = f"It ended: {facts.get('state')}."
        case "RECONCILE":
            said = f"Found out afterwards ({inert(facts.get('how'))}): {facts.get('state')}."
        case "REPLAY":
            said = "A repeat was answered from it."
        case _:
            said = ""
    return f"{facts['event']:<12} {said}".rstrip()
