"""`holdgate demo --play claude`, against a local endpoint that plays the model from a script."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.demo.running import environment, holdgate, nothing_runs_in
from tests.scripted_model import Block, Request, model, tool_results, use
from tests.services import missing


@pytest.fixture(autouse=True)
def anthropic_is_installed() -> None:
    """The optional extra; its absence is a failure only where everything is required."""
    if importlib.util.find_spec("anthropic") is None:
        missing("anthropic", "pip install 'holdgate[claude]'")


def refund_the_grinder(asked: Request) -> Block:
    """A model's next word: read the invoice, refund it whole, wait for the human, and be done."""
    results = [json.loads(block["content"]) for block in tool_results(asked)]
    errands = sum(isinstance(message["content"], str) for message in asked["messages"])
    match errands, results:
        case 1, []:
            return use("billing_lookup_invoice", {"invoice": "inv_1002"})
        case 1, [read]:
            cents = read["data"]["balance_cents"]
            refund = {"invoice": "inv_1002", "cents": cents, "cause": "duplicate", "reason": "It was charged twice."}
            return use("billing_refund", {**refund, "evidence": [read["action_id"]]})
        case 1, [_, held]:
            return use("get_action", {"action_id": held["action_id"], "wait_seconds": 20})
        case _:
            return {"type": "text", "text": "That is all."}


def look_up_for_ever(asked: Request) -> Block:
    """A model that never comes to an end."""
    return use("billing_lookup_invoice", {"invoice": "inv_1002"})


def test_a_model_plays_with_the_published_tools_and_a_human_decides(tmp_path: Path) -> None:
    """What tools/list publishes is sent as it is; a held refund is approved by a person and runs once."""
    with model(refund_the_grinder) as (url, requests):
        ended = holdgate(tmp_path, "demo", "--play", "claude", env=_key(url))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tools = {tool["name"]: tool for tool in requests[0]["tools"]}
    assert tools["billing_refund"]["input_schema"]["properties"]["evidence"]["type"] == "array"
    assert "get_action" in tools
    read, held, done = (json.loads(block["content"]) for block in tool_results(requests[-1]))
    assert [read["status"], held["status"], done["status"]] == ["done", "held", "done"]
    assert done["data"]["cents"] == read["data"]["balance_cents"]
    assert "“That is all.”" in ended.stdout
    assert nothing_runs_in(tmp_path)


def test_a_model_without_end_is_stopped(tmp_path: Path) -> None:
    """The turns of an errand are bounded, and the exit code says that it was not finished."""
    with model(look_up_for_ever) as (url, requests):
        ended = holdgate(tmp_path, "demo", "--play", "claude", env=_key(url))
    assert ended.returncode == 1
    assert f"no end in {len(requests)} turns" in ended.stdout


def test_a_refused_key_is_one_sentence(tmp_path: Path) -> None:
    """A model that cannot be asked ends the play with exit code 1 and the names of what to check."""
    with model(None) as (url, _):
        ended = holdgate(tmp_path, "demo", "--play", "claude", env=_key(url))
    assert ended.returncode == 1
    assert ended.stderr.count("\n") == 1
    assert "Check ANTHROPIC_API_KEY" in ended.stderr


def test_a_missing_key_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    """Nothing is started for a play that cannot be played."""
    ended = holdgate(tmp_path, "demo", "--play", "claude")
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "ANTHROPIC_API_KEY is not set" in ended.stderr


def test_a_missing_package_is_one_line_with_its_remedy(tmp_path: Path) -> None:
    """Without the optional extra, the remedy is the command that installs it."""
    program = "import sys; sys.modules['anthropic'] = None; from gateway.cli import main; main()"
    ended = subprocess.run(
        [sys.executable, "-P", "-c", program, "demo", "--play", "claude"],
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3
    assert ended.stderr.count("\n") == 1
    assert "pip install 'holdgate[claude]'" in ended.stderr


def _key(url: str) -> dict[str, str]:
    local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": url, **local}
