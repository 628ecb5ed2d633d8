"""docs/operations.md: every procedure is played, in order, by a gateway of the reader's own before a real Acme."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.acme import API_KEY, Acme
from tests.demo.running import environment
from tests.pages.console import Console
from tests.pages.page import ROOT, Page
from tests.services import free_port

PAGE = Page("docs/operations.md")
TITLES = [
    *("Set up", "Run", "Probe", "Back up and restore", "Stop and resume", "Unknown outcomes"),
    *("Keys and credentials", "Published checkpoints"),
]


OURS = [path for package in ("gateway", "vault") for path in (ROOT / package).rglob("*.py")]


def connect(settings: Path, acme: Acme, port: int) -> None:
    """What the page leaves to its reader: where the systems are. And a port that is free here."""
    written = yaml.safe_load(settings.read_text())
    written["listen"]["port"] = port
    written["connector"] = {name: {"base_url": acme.url, "internal": True} for name in ("billing", "crm", "tickets")}
    settings.write_text(yaml.safe_dump(written))


def test_every_procedure_does_what_the_page_says(tmp_path: Path) -> None:
    """Set up, backed up live, restored elsewhere, stopped, resumed, settled, rekeyed, anchored: each effect once."""
    (tmp_path / "reader").mkdir()
    acme = Acme(tmp_path / "acme", "--control")
    port = free_port()
    variables = {**environment(tmp_path), "ACME_KEY": API_KEY}
    try:
        with Console(tmp_path / "reader", variables, port=port) as console:
            for title in TITLES:
                if title == "Unknown outcomes":
                    acme.fault("drop_after", method="PATCH", times=1)
                for number, block in enumerate(PAGE.blocks("console", under=title)):
                    console.play(block)
                    if (title, number) == ("Set up", 0):
                        connect(tmp_path / "reader" / "mygate" / "holdgate.yaml", acme, port)
        sent = [(entry["method"], entry["path"]) for entry in acme.mutating()]
        assert sent == [("POST", "/invoices/inv_1001/refunds"), ("PATCH", "/customers/cus_ada")]
    finally:
        acme.stop()


def test_no_section_with_commands_is_left_out() -> None:
    """The test above plays every block of the page."""
    assert PAGE.blocks("console") == [block for title in TITLES for block in PAGE.blocks("console", under=title)]


def told_to_operators() -> Iterator[str]:
    """Every event that the code logs at warning or above."""
    for path in OURS:
        if path.relative_to(ROOT).parts[:2] in (("gateway", "testing"), ("gateway", "demo")):
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    ast.Attribute(ast.Name("log"), "warning" | "error" | "exception" | "critical"),
                    [ast.Constant(str(event)), *_],
                ):
                    yield event


def test_every_event_of_the_log_is_explained() -> None:
    """An operator finds each event with what to do, and none that is never logged."""
    rows = re.findall(r"^\| (`[^|]+`) \|", PAGE.section("What the log says"), re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(set(told_to_operators()))


def test_every_line_of_the_log_follows_its_level() -> None:
    """`log_level` is the level of `holdgate`: each logger is one below it, and is called `log`, for the test above."""
    astray = {
        (path.name, ast.unparse(node))
        for path in OURS
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if isinstance(node, ast.Assign) and "logging.getLogger" in ast.unparse(node)
        if not re.fullmatch(r"log = logging\.getLogger\('holdgate\.[a-z_]+'\)", ast.unparse(node))
    }
    assert astray == set()


@pytest.mark.parametrize(("setting", "number"), [("drain_seconds", 20), ("keep_answers_hours", 72)])
def test_numbers_that_the_page_repeats_are_the_defaults(setting: str, number: int) -> None:
    """`setting` (20) says what settings.py says."""
    from gateway.settings import LimitSettings

    assert f"`{setting}` ({number})" in PAGE.text
    assert LimitSettings.model_fields[setting].default == number
