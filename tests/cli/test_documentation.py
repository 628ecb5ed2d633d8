"""docs/cli.md and the command line tell the same story; importing it is quick."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.testing import CliRunner

from gateway.cli.invocation import ExitCode
from gateway.cli.root import app
from gateway.ledger.verify import Integrity

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cli.md"
_GIVEN_BY_TYPER = {"--help", "-h", "--install-completion", "--show-completion"}


def commands(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, Any]]:
    """Every verb with its words."""
    children = getattr(command, "commands", {})
    if not children:
        yield " ".join(path), command
    for name, child in children.items():
        yield from commands(child, (*path, name))


def sections() -> dict[str, str]:
    """Heading of a verb -> what the page says under it."""
    parts = re.split(r"^### `holdgate ([a-z ]+?)(?: [A-Z\[].*)?`$", PAGE.read_text(), flags=re.MULTILINE)
    return {
        name: re.split(r"^#+ ", body, flags=re.MULTILINE)[0]
        for name, body in zip(parts[1::2], parts[2::2], strict=True)
    }


TREE = dict(commands(typer.main.get_command(app)))


def test_the_page_has_every_verb_and_no_other() -> None:
    """A verb that is added, renamed or removed without its section fails here."""
    assert list(sections()) == list(TREE)


@pytest.mark.parametrize("name", TREE)
def test_the_page_has_every_option_of_a_verb_and_no_other(name: str) -> None:
    """Long and short names of options, both ways."""
    known = {option for parameter in TREE[name].params for option in parameter.opts if option.startswith("-")}
    told = set(re.findall(r"^- `(-[^`]*)`", sections()[name], flags=re.MULTILINE))
    told = {word for entry in told for word in re.findall(r"(?<![\w-])--?[a-z][a-z-]*", entry)}
    assert told == known - _GIVEN_BY_TYPER


@pytest.mark.parametrize("name", TREE)
def test_the_page_and_the_help_call_a_value_by_one_name(name: str) -> None:
    """`--since TIME` on the page is `--since TIME` in `--help`; only a choice shows what there is to choose from."""
    told = dict(re.findall(r"^- `(--[a-z-]+)(?:, -[a-z])? ([A-Z=]+)`", sections()[name], flags=re.MULTILINE))
    for parameter in TREE[name].params:
        if option := next((option for option in parameter.opts if option in told), None):
            assert told[option] == (parameter.metavar or parameter.name.upper()), option


def test_a_list_of_verbs_says_what_each_does_in_a_whole_sentence() -> None:
    """`--help` of a group cuts a summary that is longer than its line; 80 columns leave it 78."""
    groups = {name.rpartition(" ")[0] for name in TREE}
    for group in groups:
        ended = CliRunner().invoke(app, [*group.split(), "--help"], terminal_width=78)
        assert "..." not in ended.output.replace("[ARGS]...", ""), group


def test_the_page_has_the_options_before_the_verb_and_every_exit_code() -> None:
    """Global options and exit codes are listed; verify's own are too (L-7)."""
    text = PAGE.read_text()
    options = {name for parameter in typer.main.get_command(app).params for name in parameter.opts}
    for option in options - _GIVEN_BY_TYPER:
        assert f"`{option}" in text or f", {option}" in text, option
    for code in (*ExitCode, *Integrity):
        assert re.search(rf"^\| {int(code)} \|.*\|$", text, flags=re.MULTILINE), code


def test_help_comes_without_the_house() -> None:
    """`--help` imports neither the protocol nor the servers nor a database, so it answers at once."""
    heavy = ("mcp", "aiohttp", "hvac", "pydantic", "sqlite3", "uvicorn", "cryptography")
    program = f"import sys, gateway.cli; print(sorted(set({heavy}) & sys.modules.keys()))"
    unmeasured = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, env=unmeasured, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
