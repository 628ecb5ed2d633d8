"""`tools lint`: an author hears what of a tool would break which client, before any client does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from gateway.tools.rules import MANY_TOOLS, RULES
from tests.cli.command import Holdgate, one_sentence
from tests.clients import many_tools
from tests.place import ROOT

SOUND = '''"""A connector."""

from typing import Annotated

from pydantic import Field

from gateway.connector import Connector, Input, Output, Upstream

desk = Connector("desk", base_url="https://desk.example")


class Query(Input):
    id: Annotated[str, Field(pattern=r"^[a-z]+$", description="Which one.")]


class Record(Output):
    id: str


@desk.read()
async def show(args: Query, upstream: Upstream) -> Record:
    """Show one."""
    return Record.model_validate(await upstream.get(f"/{args.id}"))
'''
LINE = 20
"""Where the tool begins."""


@pytest.fixture
def nowhere(tmp_path: Path) -> Holdgate:
    """The command line where there are no settings."""
    return Holdgate(tmp_path / "none.yaml")


def written(folder: Path, text: str) -> str:
    file = folder / "desk.py"
    file.write_text(text)
    return str(file)


def test_a_sound_file_needs_no_settings_and_has_no_finding(nowhere: Holdgate, tmp_path: Path) -> None:
    """An author lints a file before there is any gateway to put it into."""
    ended = nowhere("tools", "lint", written(tmp_path, SOUND))
    assert (ended.code, ended.out) == (0, "1 tool: 0 errors, 0 warnings.\n")


def test_an_error_names_tool_place_client_and_remedy(nowhere: Holdgate, tmp_path: Path) -> None:
    """Exit 1: the file and line of the tool, what is wrong where, who would break and how, and what to do."""
    file = written(
        tmp_path,
        SOUND.replace('    id: Annotated[str, Field(pattern=r"^[a-z]+$",', "    id: Annotated[str | int, Field("),
    )
    ended = nowhere("tools", "lint", file)
    assert ended.code == 1
    first, *told = ended.out.splitlines()
    assert first == (f"{file}:{LINE}: error: Tool desk_show: the argument id may be one of several types. [union]")
    assert "    Cursor answers 400 to every prompt." in told
    assert "    Give it one type." in told
    (found,) = nowhere("tools", "lint", file, "--json").json["findings"]
    assert {
        "rule": "union",
        "tool": "desk_show",
        "part": "arguments",
        "path": "id",
        "line": LINE,
    }.items() <= found.items()
    assert set(found["breaks"]) == {"Cursor", "OpenAI's API"}


def test_every_finding_of_a_file_is_told_at_once(nowhere: Holdgate, tmp_path: Path) -> None:
    """One run, not one run per mistake; arguments and result, errors and warnings."""
    text = SOUND.replace(', description="Which one."', "").replace(
        "    id: str\n", "    tags: list[str | None]\n    any: list\n"
    )
    found = nowhere("tools", "lint", written(tmp_path, text), "--json").json["findings"]
    assert [(one["rule"], one["severity"], one["part"], one["path"]) for one in found] == [
        ("undescribed", "warning", "arguments", "id"),
        ("null-item", "error", "result", "tags[]"),
        ("list-of-anything", "error", "result", "any"),
    ]


def test_warnings_alone_are_no_failure(nowhere: Holdgate, tmp_path: Path) -> None:
    """Exit 0: a slow tool and a pattern that only the gateway can check still load."""
    text = SOUND.replace("@desk.read()", "@desk.read(timeout=90.0)").replace('r"^[a-z]+$"', 'r"(?i)^[a-z]+$"')
    ended = nowhere("tools", "lint", written(tmp_path, text), "--json")
    assert ended.code == 0
    assert ended.json["ok"] is True
    assert [one["rule"] for one in ended.json["findings"]] == ["slow", "pattern"]


@pytest.mark.parametrize("wrong", ['auth="Basic"', 'headers={"Accept": "text/csv"}', 'headers={"Api-Version": 2}'])
def test_a_header_that_stops_the_start_is_told_to_its_author(nowhere: Holdgate, tmp_path: Path, wrong: str) -> None:
    """Exit 3, as when the file does not load: whose tools are sound has a connector that no server starts with."""
    file = written(
        tmp_path, SOUND.replace('base_url="https://desk.example"', f'base_url="https://desk.example", {wrong}')
    )
    ended = nowhere("tools", "lint", file)
    assert ended.code == 3
    assert "Connector desk" in ended.err


def test_what_lint_calls_an_error_stops_the_start(nowhere: Holdgate, home: Path, holdgate: Holdgate) -> None:
    """The same verdict: a server with that connector is refused with the same words, file and line."""
    file = written(home, SOUND.replace("id: str\n", "tags: list[str | None]\n"))
    settings = yaml.safe_load(holdgate.config.read_text())
    holdgate.config.write_text(yaml.safe_dump({**settings, "connectors": [*settings["connectors"], file]}))
    sentence = one_sentence(holdgate("tools", "ls"), 3)
    assert f"{file}:{LINE}: Tool desk_show: tags[] of the result may be null." in sentence
    assert holdgate("tools", "lint").code == 1


@pytest.mark.parametrize(
    ("right", "wrong", "line"),
    [
        ("class Record(Output):", "class Record(Output)", 16),
        ('    """Show one."""\n', "", LINE),
        ('Connector("desk"', 'Connector("Not A Name"', 9),
        ("from pydantic import Field", "from pydantic import Feld", 5),
    ],
)
def test_a_connector_that_does_not_load_is_told_with_its_line(
    nowhere: Holdgate, tmp_path: Path, right: str, wrong: str, line: int
) -> None:
    """Exit 3 and one line on stderr, as for every other file of an operator's; with --json a problem."""
    file = written(tmp_path, SOUND.replace(right, wrong))
    assert f"{file}:{line}: " in one_sentence(nowhere("tools", "lint", file), 3)
    ended = nowhere("tools", "lint", file, "--json")
    assert ended.code == 3
    assert [(one["file"], one["line"]) for one in ended.json["problems"]] == [(file, line)]


def test_every_broken_connector_is_named_at_once(nowhere: Holdgate, tmp_path: Path) -> None:
    """A folder of three broken modules is three lines."""
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.py").write_text("1/0")
    ended = nowhere("tools", "lint", str(tmp_path))
    assert ended.code == 3
    assert len(ended.err.splitlines()) == 3


def test_the_connectors_of_a_home_are_chosen_by_name(holdgate: Holdgate) -> None:
    """Without a source all of them, with names those; what ships has no finding at all."""
    assert holdgate("tools", "lint").out == "8 tools: 0 errors, 0 warnings.\n"
    assert holdgate("tools", "lint", "crm").out == "3 tools: 0 errors, 0 warnings.\n"
    assert "There is no connector module nothing" in one_sentence(holdgate("tools", "lint", "nothing"), 3)


def test_an_agent_that_is_offered_too_many_tools_is_named(home: Path, holdgate: Holdgate) -> None:
    """A warning: some clients take forty, and a policy is where to mend it."""
    settings = yaml.safe_load(holdgate.config.read_text())
    connectors = [*settings["connectors"], many_tools.__file__]
    tools = {f"shelf_look_{number:03}": "allow" for number in range(MANY_TOOLS)}
    policy = {"policy": "crowd", "applies_to": {"groups": ["support"]}, "tools": tools}
    (home / "policies" / "crowd.yaml").write_text(yaml.safe_dump(policy))
    holdgate.config.write_text(yaml.safe_dump({**settings, "connectors": connectors}))
    ended = holdgate("tools", "lint", "--json")
    assert ended.code == 0
    (found,) = ended.json["findings"]
    assert (found["rule"], found["tool"]) == ("too-many", "support-agent")


def test_the_page_of_clients_lists_every_rule_as_it_is() -> None:
    """docs/clients.md has a row for each rule, with its severity, its clients and its remedy, and no other."""
    page = (ROOT / "docs" / "clients.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([a-z-]+)` \| ((?:error|warning) \| .*) \|$", page, flags=re.MULTILINE))
    assert list(rows) == list(RULES)
    for rule in RULES.values():
        who = "; ".join(f"{client} {how}" for client, how in rule.breaks.items()) or "the gateway itself"
        remedy = rule.remedy.replace("|", "\\|")
        assert rows[rule.id] == f"{rule.severity} | {who} | {remedy}", rule.id
