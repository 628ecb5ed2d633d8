"""The published conformance suite against a real gateway, and what of it is expected to fail.

`python -m tests.conformance.suite` plays every revision and prints the scores; `make conformance` does that.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import yaml

from gateway.tools.catalogue import load_connectors
from tests.gate import gate
from tests.node import environment, node, program
from tests.place import ROOT, Place

REVISIONS = ("2026-07-28", "2025-11-25")
WITH_SESSIONS = frozenset({"2025-11-25"})
"""Played against a gateway that keeps sessions; the rest in the mode that is the default."""
HERE = Path(__file__).parent
EVERYTHING = str(HERE / "everything.py")
PLAY_SECONDS = 110.0

_RESULTS = re.compile(r"server-(.+)-\d{4}-\d\d-\d\dT[\d-]+Z")
_UNUSED_URL = "http://127.0.0.1:9"


@dataclass(frozen=True)
class Score:
    """What one revision's run came to."""

    passed: int
    failed: frozenset[tuple[str, str]]
    """Scenario and check."""

    def scenarios(self) -> set[str]:
        """The scenarios with a failed check."""
        return {scenario for scenario, _ in self.failed}


@dataclass(frozen=True)
class Expected:
    """One entry of `expected-failures.yaml`."""

    scenarios: frozenset[str]
    checks: frozenset[str]
    """All that may fail in them; empty: any."""
    because: str

    def excuses(self, scenario: str, check: str) -> bool:
        """Whether this failure was foreseen."""
        return scenario in self.scenarios and (not self.checks or check in self.checks)


def expected(revision: str) -> list[Expected]:
    """The failures that are foreseen for a revision, each with its reason."""
    entries = yaml.safe_load((HERE / "expected-failures.yaml").read_text(encoding="utf-8"))[revision]
    return [Expected(frozenset(e["scenarios"]), frozenset(e.get("checks", ())), e["because"]) for e in entries]


def play(revision: str, folder: Path) -> Score:
    """Run what a revision requires, and what the suite does not score, against a gateway of its own.

    Args:
        folder: empty; the gateway's data and the suite's results go there.
    """
    place = Place(folder / "gateway", _UNUSED_URL)
    origins = [f"http://{name}:{place.port}" for name in ("127.0.0.1", "localhost")]
    tools = [tool for connector in load_connectors([EVERYTHING], HERE) for tool in connector.tools]
    place.write_policy(
        json.dumps(
            {
                "policy": "conformance",
                "applies_to": {"groups": ["support"]},
                "tools": dict.fromkeys(tools, "allow"),
            }
        )
    )
    listen = {"port": place.port, "allowed_origins": origins, "sessions": revision in WITH_SESSIONS}
    place.write_settings(connectors=[EVERYTHING], connector={}, listen=listen)
    results = folder / "results"
    suite = [str(node()), "--import", str(HERE / "with_key.mjs"), *program("conformance")[1:]]
    with gate(place) as gateway:
        variables = {"HOLDGATE_KEY": place.keys["bot"], "HOLDGATE_ORIGIN": gateway.url.removesuffix("/mcp")}
        ran = subprocess.run(
            [*suite, "server", "--url", gateway.url, "--requirements", revision, "--output-dir", str(results)],
            cwd=ROOT,
            env=environment(**variables),
            capture_output=True,
            text=True,
            timeout=PLAY_SECONDS,
            check=False,
        )
    assert "=== SUMMARY ===" in ran.stdout, f"the suite did not come to its end:\n{ran.stdout[-500:]}{ran.stderr}"
    return _score(results)


def _score(results: Path) -> Score:
    passed, failed = 0, set()
    for file in sorted(results.glob("*/checks.json")):
        name = _RESULTS.fullmatch(file.parent.name)
        assert name is not None, f"a result of an unknown kind: {file}"
        for check in json.loads(file.read_text(encoding="utf-8")):
            passed += check["status"] == "SUCCESS"
            if check["status"] == "FAILURE":
                failed.add((name[1], check["id"]))
    return Score(passed, frozenset(failed))


if __name__ == "__main__":
    unforeseen = 0
    for revision in REVISIONS:
        with tempfile.TemporaryDirectory() as scratch:
            score = play(revision, Path(scratch))
        print(f"{revision}: {score.passed} checks passed, {len(score.failed)} failed.")
        foreseen = expected(revision)
        for scenario, check in sorted(score.failed):
            because = next((entry.because for entry in foreseen if entry.excuses(scenario, check)), None)
            unforeseen += because is None
            print(f"  {scenario}: {check}: {because or 'NOT EXPECTED'}")
    sys.exit(1 if unforeseen else 0)
