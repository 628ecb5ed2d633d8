"""What a play tells, and how: an act, a call, its answer, a check that has to hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from rich.console import Console
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from gateway.demo.stage import Agent, Envelope

_COLOURS: Final = {
    "done": "green",
    "previewed": "cyan",
    "replayed": "cyan",
    "held": "yellow",
    "running": "yellow",
    "refused": "red",
    "failed": "red",
    "unknown": "red",
}
_WIDEST: Final = 60


class StoryDiffers(Exception):
    """Something is not as the story says. The sentence says what should have been."""


class Story:
    """A teller. Every number it shows comes from an answer, the journal or the ledger."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def act(self, title: str, *, why: str = "") -> None:
        """Begin the next part."""
        self._console.print()
        self._console.print(Rule(f"[bold]{title}[/bold]", align="left", style="dim"))
        if why:
            self._console.print(why, style="dim")

    def say(self, sentence: str) -> None:
        """Tell something that is neither a call nor a check; a customer's words, too, so never as markup."""
        self._console.print(Text(sentence))

    async def call(self, agent: Agent, tool: str, arguments: Mapping[str, Any], *, ends: str | None = None) -> Envelope:
        """Let the agent call a tool, and show both the call and its answer.

        Args:
            ends: the status that the story wants; None where the agent is free.

        Raises:
            StoryDiffers: it ended in another one.
        """
        shown = ", ".join(f"{name}={_short(value)}" for name, value in arguments.items())
        self._console.print(Text.assemble("→ ", (tool, "bold"), f"({shown})"))
        answer = await agent.call(tool, arguments)
        self._answer(answer)
        if ends not in (None, answer["status"]):
            raise StoryDiffers(f"{tool} ends as {ends}.")
        return answer

    def _answer(self, answer: Envelope) -> None:
        status = answer["status"]
        line = Text.assemble("← ", (status, f"bold {_COLOURS[status]}"), "")
        if summary := _summary(answer.get("data", {})):
            line.append(f"  {summary}")
        for said in ("code", "message"):
            if answer.get(said):
                line.append(f"  {answer[said]}", "dim" if said == "code" else "")
        self._console.print(line)
        if answer.get("diff"):
            self._diff(answer["diff"])
        if answer.get("rules") and status == "refused":
            self._console.print(Text(f"  by {answer['rules'][0]}", "dim"))

    def check(self, holds: bool, sentence: str) -> None:
        """Tell what was found to be so.

        Raises:
            StoryDiffers: it is not so.
        """
        if not holds:
            raise StoryDiffers(sentence)
        self._console.print(Text.assemble(("✓ ", "green"), sentence))

    def ledger(self, lines: list[dict[str, Any]]) -> None:
        """Show ledger lines as a table."""
        table = Table(box=None, pad_edge=False, header_style="dim")
        for column in ("#", "event", "who", "tool", "what came of it"):
            table.add_column(column)
        for line in lines:
            came = [line[name] for name in ("verdict", "state", "status", "code", "why") if line.get(name)]
            if line.get("accepted") is False:
                came.insert(0, "not accepted:")
            who, tool = line.get("principal", ""), line.get("tool", "")
            table.add_row(str(line["seq"]), line["event"], Text(who), tool, Text(_short(" ".join(map(str, came)))))
        self._console.print(table)

    def _diff(self, changes: list[dict[str, Any]]) -> None:
        table = Table(box=None, pad_edge=False, show_header=False)
        for change in changes:
            before, after = _short(change.get("before")), _short(change.get("after"))
            table.add_row(f"    {change['field']}", Text(before, "red"), "→", Text(after, "green"))
        self._console.print(table)


def money(cents: int, currency: str = "USD") -> str:
    """An amount for a human: 1600 becomes `16.00 USD`."""
    return f"{cents // 100}.{cents % 100:02d} {currency}"


def _summary(data: Mapping[str, Any]) -> str:
    match data:
        case {"subject": str(subject), "messages": [{"text": str(text)}, *_]}:
            return f"{subject} “{text}”"
        case {"items": list(items), "status": str(status), "total_cents": int(total), "currency": str(currency)}:
            return f"{', '.join(item['title'] for item in items)}; {status}, {money(total, currency)}"
        case {"balance_cents": int(balance), "status": str(status), "currency": str(currency)}:
            return f"{status}, {money(balance, currency)} can go back"
        case {"id": str(id), "cents": int(cents), "status": str(status)}:
            return f"{id}, {money(cents)}, {status}"
        case _:
            return ""


def _short(value: Any) -> str:
    text = f"{len(value)} read" if isinstance(value, list) else str(value)
    return text if len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"
