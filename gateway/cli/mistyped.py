"""What was mistyped on the command line, in one sentence with what was meant."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

import typer

WrongUsage: Any = typer.BadParameter.__base__
"""Words that make no command; Typer does not export the class itself."""

_LISTS = ("ls", "tail", "query")


def in_our_words(wrong: Any) -> str:
    """Typer's sentence, without what pydantic puts before it, and with the next step where one can be told."""
    said = str(wrong.message).removeprefix("Value error, ")
    for pattern, next_step in (
        (r"'(.*)' is not one of (.*)\.", _choice),
        (r"No such option: (--config|-c|--debug)", _before_the_verb),
        (r"Got unexpected extra argument(?:\(s\)|s)? \((.*)\)", _one_too_many),
        (r"No such command '(.*)'\.", _verb),
    ):
        if found := re.fullmatch(pattern, said):
            meant = next_step(wrong.ctx, *found.groups())
            return f"{said.removesuffix('.')}. {meant}" if meant else said
    return said


def _choice(_: Any, given: str, choices: str) -> str:
    close = get_close_matches(given.lower(), re.findall(r"'([^']*)'", choices), n=1)
    return f"Did you mean '{close[0]}'?" if close else ""


def _before_the_verb(ctx: Any, option: str) -> str:
    value = "" if option == "--debug" else " FILE"
    return f"It stands before the verb: `holdgate {option}{value}{_verbs(ctx)}`."


def _one_too_many(ctx: Any, given: str) -> str:
    if ctx.parent and ctx.info_name in _LISTS and "show" in getattr(ctx.parent.command, "commands", {}):
        return f"For one of them: `holdgate{_verbs(ctx.parent)} show {given}`."
    if given.endswith((".yaml", ".yml")):
        return f"The settings are named before the verb: `holdgate --config {given}{_verbs(ctx)}`."
    return ""


def _verb(ctx: Any, _: str) -> str:
    # Of the program itself they are too many for a sentence.
    return f"There are: {', '.join(getattr(ctx.command, 'commands', {}))}." if ctx.parent else ""


def _verbs(ctx: Any) -> str:
    path: str = ctx.command_path
    return path.removeprefix(ctx.find_root().command_path)
