"""The README is true: its commands are run against a real demo, its connector and its policy are loaded."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from gateway.demo.stage import effects
from gateway.policy import load
from gateway.tools.catalogue import Catalogue, load_connectors
from tests.demo.running import Demo, environment, running_demo
from tests.pages.console import Console, commands
from tests.pages.page import ROOT, Page

README = Page("README.md")


def listed(title: str) -> list[str]:
    """The commands in one section of the README."""
    found = [command.text for block in README.blocks("console", under=title) for command in commands(block)]
    assert found, title
    return found


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory):
    with running_demo(tmp_path_factory.mktemp("readme") / "holdgate-demo") as demo:
        yield demo


def test_the_commands_for_the_demo_do_what_the_readme_says(demo: Demo, tmp_path: Path) -> None:
    """Connect, try by hand, approve, audit and stop: every command runs, in the README's order, on a running demo."""
    variables = {**environment(tmp_path), "HOLDGATE_CONFIG": str(demo.world.home.file)}
    with Console(tmp_path, variables) as console:
        for title in ("Connect a client", "Try it by hand", "Audit it", "Stop it"):
            for command in listed(title):
                code, said = console.run(command)
                assert code == 0, f"{command}\n{said}"
                if "--dry-run" in command:
                    assert "previewed" in said
                elif command.startswith("holdgate call billing_refund"):
                    assert "held" in said
                    console.ids["ACTION"] = re.findall(r"act_[0-9a-f]{32}", said)[0]
                elif "approvals ls" in command:
                    assert console.ids["ACTION"] in said
    arrived = effects(demo.world, "/invoices/inv_1002/refunds")
    assert len(arrived) == 1, "the approved refund arrived once"


def test_a_gateway_of_ones_own_is_set_up_as_the_readme_says(tmp_path: Path) -> None:
    """`init` to `doctor`: each command works in a fresh folder, and `doctor` then finds only what is still missing."""
    with Console(tmp_path, environment(tmp_path), stdin="a-secret-for-the-test\n") as console:
        for command in listed("Run your own"):
            if command == "holdgate serve":
                continue  # for which the port has to be free: docs/operations.md serves one
            code, said = console.run(command)
            missing = command == "holdgate doctor"
            assert code == (1 if missing else 0), f"{command}\n{said}"
            if missing:
                failed = [line for line in said.splitlines() if line.startswith("fail")]
                # Whoever has the README's port here is another installation's affair.
                assert all("credential" in line or "server" in line for line in failed), said


def test_the_connector_and_the_policy_of_the_readme_fit_each_other(tmp_path: Path) -> None:
    """What a reader copies loads: the connector is portable, the policy checks, its examples hold."""
    (tmp_path / "payments.py").write_text(README.blocks("python")[0], encoding="utf-8")
    (tmp_path / "policy.yaml").write_text(README.blocks("yaml")[0], encoding="utf-8")
    catalogue = Catalogue(load_connectors(["./payments.py"], tmp_path))
    assert "payments_refund" in catalogue.tools
    load([tmp_path / "policy.yaml"], catalogue.tools)


def test_the_envelope_of_the_readme_is_one() -> None:
    """The held answer that the README shows has the members that a real one has."""
    shown = json.loads(README.blocks("json")[0])
    assert shown["status"] == "held"
    assert set(shown) <= {"status", "action_id", "code", "message", "next", "expires_at", "diff"}


def test_the_two_commands_are_targets() -> None:
    """`make demo`, `make test` and `make play` are in the Makefile."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for target in ("demo", "test", "play"):
        assert f"\n{target}:" in makefile
        assert f"make {target}" in README.text
