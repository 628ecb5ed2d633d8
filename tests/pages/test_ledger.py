"""docs/ledger.md: every event and every fact of a line is told, and an export can be checked without Holdgate."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.ledger.checkpoint import verifier
from gateway.ledger.verify import Integrity
from gateway.ledger_line import Event
from tests.pages.conftest import Played
from tests.pages.page import ROOT, Page

PAGE = Page("docs/ledger.md")
FACTS = {
    fact for row in re.findall(r"^\| (.+?) \|", PAGE.section("Facts"), re.M) for fact in re.findall(r"`(\w+)`", row)
}


def test_every_event_is_on_the_page_and_no_other() -> None:
    """What a line can record."""
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE.section("Events"), re.MULTILINE)) == {str(event) for event in Event}


def test_every_verdict_is_on_the_page() -> None:
    """With its exit code and its name."""
    told = re.findall(r"^\| (\d) `(\w+)` \|", PAGE.section("Verify it"), re.MULTILINE)
    assert told == [(str(int(verdict)), verdict.name.lower()) for verdict in Integrity]


def test_every_fact_that_the_code_writes_is_on_the_page() -> None:
    """A fact that is given where a line is appended, by its name, is in the table."""
    written = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("ledger.append"):
                written |= {keyword.arg for keyword in node.keywords if keyword.arg}
    assert len(written) > 30
    assert written - FACTS == set()


def test_an_auditor_reads_and_checks_the_ledger_as_the_page_says(after_quickstart: Played) -> None:
    """Over the quickstart's calls: the page's own program recomputes the export's chain, and sees a changed line."""
    after_quickstart.console.play(*PAGE.blocks("console"))
    export = after_quickstart.console.folder / "ledger.jsonl"
    (export.parent / "checkpoints.notes").write_text(after_quickstart.demo.world.home.checkpoints.read_text())
    lines = [json.loads(line) for line in export.read_text().splitlines()]
    assert {fact for line in lines for fact in line} - {"hash"} <= FACTS
    (program,) = PAGE.blocks("python")
    assert f"{len(lines)} lines, ending with {lines[-1]['hash']}" in check(program, export.parent).stdout
    key = export.parent / "ledger.key"
    ours, others = key.read_text(), verifier(Ed25519PrivateKey.generate().public_key())
    key.write_text(others)
    assert "InvalidSignature" in check(program, export.parent).stderr
    key.write_text(ours)
    notes = (export.parent / "checkpoints.notes").read_text()
    (export.parent / "checkpoints.notes").write_text("")
    assert "no checkpoint is in the notes" in check(program, export.parent).stderr
    (export.parent / "checkpoints.notes").write_text(notes)
    whole = export.read_text()
    export.write_text(whole.partition("\n")[0] + "\n")
    assert "the export ends before line" in check(program, export.parent).stderr
    export.write_text(whole)
    export.write_text(export.read_text().replace("fiona", "olivia"))
    assert "AssertionError" in check(program, export.parent).stderr


def check(program: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The page's program, over the files in a folder."""
    return subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
