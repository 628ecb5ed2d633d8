"""The README is true: its commands are run against a real demo, its connector and its policy are loaded."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.demo.stage import effects
from gateway.policy import load
from gateway.tools.catalogue import Catalogue, load_connectors
from tests.demo.running import Demo, running_demo

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
HOLDGATE = [sys.executable, "-m", "gateway.cli"]

STANDS = frozenset({"serve", "demo"})
"""Commands that serve until they are stopped; the demo of this test is one, and `tests/cli` runs the other."""


def blocks(language: str) -> list[str]:
    """The README's fenced blocks of one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def section(title: str) -> list[str]:
    """The commands behind a `$` in one section of the README."""
    text = README.split(f"## {title}\n", 1)[1].split("\n## ", 1)[0]
    return re.findall(r"^\$ (.+)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    with running_demo(tmp_path_factory.mktemp("readme") / "holdgate-demo") as demo:
        yield demo


def run(command: str, demo: Demo, cwd: Path, *, stdin: str = "y\n") -> subprocess.CompletedProcess[str]:
    """One command as the README has it, with the demo's settings unless the folder has its own."""
    words = shlex.split(command)
    assert words[0] == "holdgate", command
    environment = dict(os.environ)
    if not (cwd / "holdgate.yaml").exists():
        environment["HOLDGATE_CONFIG"] = str(demo.world.home.file)
    return subprocess.run(
        [*HOLDGATE, *words[1:]], cwd=cwd, env=environment, input=stdin, capture_output=True, text=True, timeout=60
    )


def test_the_commands_for_the_demo_do_what_the_readme_says(demo: Demo, tmp_path: Path) -> None:
    """Connect, try by hand, approve, audit and stop: every command runs, in the README's order, on a running demo."""
    action = ""
    for title in ("Connect a client", "Try it by hand", "Audit it", "Stop it"):
        commands = section(title)
        assert commands, title
        for command in commands:
            done = run(command.replace("ACTION", action), demo, tmp_path)
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{command}\n{said}"
            if "--dry-run" in command:
                assert "previewed" in said
            elif command.startswith("holdgate call billing_refund"):
                assert "held" in said
                action = re.findall(r"act_[0-9a-f]{32}", said)[0]
            elif "approvals ls" in command:
                assert action in said
    arrived = effects(demo.world, "/invoices/inv_1002/refunds")
    assert len(arrived) == 1, "the approved refund arrived once"


def test_a_gateway_of_ones_own_is_set_up_as_the_readme_says(demo: Demo, tmp_path: Path) -> None:
    """`init` to `doctor`: each command works in a fresh folder, and `doctor` then finds only what is still missing."""
    cwd = tmp_path
    for command in section("Run your own"):
        if command.startswith("cd "):
            cwd = cwd / command.removeprefix("cd ")
        elif command.split()[1] not in STANDS:
            done = run(command, demo, cwd, stdin="a-secret-for-the-test\n")
            missing = command == "holdgate doctor"
            assert done.returncode == (1 if missing else 0), f"{command}\n{done.stdout}{done.stderr}"
            if missing:
                failed = [line for line in done.stdout.splitlines() if line.startswith("fail")]
                assert all("credential" in line for line in failed), done.stdout


def test_the_connector_and_the_policy_of_the_readme_fit_each_other(tmp_path: Path) -> None:
    """What a reader copies loads: the connector is portable, the policy checks, its examples hold."""
    (tmp_path / "payments.py").write_text(blocks("python")[0], encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(blocks("yaml")[0], encoding="utf-8")
    catalogue = Catalogue(load_connectors(["./payments.py"], tmp_path))
    assert "payments_refund" in catalogue.tools
    load([tmp_path / "policy.yaml"], catalogue.tools)


def test_the_envelope_of_the_readme_is_one() -> None:
    """The held answer that the README shows has the members that a real one has."""
    shown = json.loads(blocks("json")[0])
    assert shown["status"] == "held"
    assert set(shown) <= {"status", "action_id", "code", "message", "next", "expires_at", "diff"}


def test_the_two_commands_are_targets() -> None:
    """`make demo`, `make test` and `make play` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "play"):
        assert f"\n{target}:" in makefile
        assert f"make {target}" in README


def test_every_file_the_readme_links_to_exists() -> None:
    """No dead links into the repository."""
    links = re.findall(r"\]\((?!https?:)([^)#]+)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists(), link
