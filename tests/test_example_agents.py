"""`examples/agents`: each framework does the same small job through the real demo, with a model that plays a script."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.demo.stage import approve, effects, ledger_lines
from gateway.demo.world import AGENT, APPROVER, World
from tests.demo.running import Demo, environment, running_demo
from tests.scripted_model import Block, Request, model, tool_results, use
from tests.services import missing

ROOT = Path(__file__).resolve().parents[1]
AGENTS = ROOT / "examples" / "agents"
OWN = ROOT / ".venv-examples"
REPORT = "One is made, one was approved and made, one is not permitted."


def interpreter(example: str) -> Path:
    """The SDK of the plain loop is ours; the frameworks live in an environment of their own."""
    if example == "anthropic_sdk.py":
        return Path(sys.executable)
    lock, made_from = ROOT / "requirements" / "examples.txt", OWN / "made-from"
    if not made_from.exists() or made_from.read_bytes() != lock.read_bytes():
        missing("what examples/agents need", "make examples")
    return OWN / "bin" / "python"


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[Demo]:
    with running_demo(tmp_path / "demo") as demo:
        yield demo


class SupportAgent:
    """The model's part: a small refund, a large one that waits for a human, and one that is out of the question."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.answers: list[dict[str, Any]] = []

    def speak(self, asked: Request) -> Block:
        """The next word, from what the tools have answered so far."""
        self.answers = [envelope(block) for block in tool_results(asked)]
        match [answer["status"] for answer in self.answers]:
            case []:
                return use("billing_lookup_order", {"order": "ord_1001"})
            case ["done"]:
                return use("billing_lookup_invoice", {"invoice": self.answers[0]["data"]["invoice"]})
            case ["done", "done"]:
                return self._refund("inv_1001", 1600, dry_run=True)
            case ["done", "done", "previewed"]:
                return self._refund("inv_1001", 1600)
            case [*_, "unknown"]:
                return self._ask(self.answers[-1], seconds=20)
            case [*_, "unknown", "done"]:
                return use("billing_lookup_invoice", {"invoice": "inv_1002"})
            case [*_, "done", "done"]:
                return self._refund("inv_1002", 18900)
            case [*_, "done", "held"]:
                return self._ask(self.answers[-1], seconds=0)
            case [*_, "held", "held"]:
                said = asyncio.run(approve(self._world, self.answers[-1]["action_id"], APPROVER))
                assert said.code == 0, said.text
                return self._ask(self.answers[-1], seconds=20)
            case [*_, "held", "done"]:
                return self._refund("inv_1001", 20001)
            case [*_, "refused"]:
                return {"type": "text", "text": REPORT}
            case unexpected:
                raise AssertionError(unexpected)

    def _refund(self, invoice: str, cents: int, **control: bool) -> Block:
        (*_, read) = (answer for answer in self.answers if answer.get("data", {}).get("id") == invoice)
        refund = {"invoice": invoice, "cents": cents, "cause": "duplicate", "reason": "The customer is owed it."}
        return use("billing_refund", {**refund, "evidence": [read["action_id"]], **control})

    def _ask(self, about: dict[str, Any], seconds: int) -> Block:
        return use("get_action", {"action_id": about["action_id"], "wait_seconds": seconds})


def envelope(block: Block) -> dict[str, Any]:
    """The gateway's answer in a tool result, as text or as blocks of it."""
    content = block["content"]
    text = content if isinstance(content, str) else "".join(part["text"] for part in content)
    answer: dict[str, Any] = json.loads(text)
    return answer


def run(command: list[str | Path], demo: Demo, url: str) -> subprocess.CompletedProcess[str]:
    """Run an example to its end, with the demo's agent's key and a key that opens only the scripted model."""
    gateway = {
        "HOLDGATE_URL": demo.world.home.url,
        "HOLDGATE_KEY": demo.world.key(AGENT),
        "HOLDGATE_TASK": "two-refunds",
    }
    scripted = {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": url}
    local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return subprocess.run(
        command,
        cwd=demo.world.folder,
        env=environment(demo.world.folder) | gateway | scripted | local,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("example", sorted(path.name for path in AGENTS.glob("*.py")))
def test_an_agent_does_its_job_through_the_gateway(example: str, demo: Demo) -> None:
    """Read, preview, refund, find out what Acme hung up on, wait for a human, take no for an answer: two effects."""
    python, agent = interpreter(example), SupportAgent(demo.world)
    hang_up = {"fault": "drop_after", "method": "POST", "path": "/invoices/inv_1001/refunds", "times": 3}
    httpx2.post(f"{demo.world.acme_url}/_control/faults", json=hang_up, trust_env=False).raise_for_status()
    with model(agent.speak) as (url, requests):
        ended = run([python, AGENTS / example, "See to the refunds of orders 1001 and 1002."], demo, url)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert ended.stdout.strip() == REPORT
    done, asked_about, held = ["done"], ["unknown", "done"], ["held", "held", "done"]
    statuses = [answer["status"] for answer in agent.answers]
    assert statuses == [*done, *done, "previewed", *asked_about, *done, *held, "refused"]

    def refunded(invoice: str) -> set[tuple[int, str]]:
        arrived = effects(demo.world, f"/invoices/{invoice}/refunds")
        return {(entry["body"]["cents"], entry["body"]["reference"]) for entry in arrived}

    assert [cents for cents, _ in refunded("inv_1001")] == [1600], "however often it arrived, it was one refund"
    assert [cents for cents, _ in refunded("inv_1002")] == [18900]
    first, last = requests[0], requests[-1]
    assert "Holdgate stands between you and systems of record" in json.dumps(first["system"]), "the instructions"
    assert {"billing_refund", "get_action"} <= {tool["name"] for tool in first["tools"]}
    bad = [answer["status"] in ("unknown", "refused") for answer in agent.answers]
    assert [bool(block.get("is_error")) for block in tool_results(last)] == bad
    intents = [line for line in ledger_lines(demo.world, 0, []) if line["event"] == "INTENT"]
    assert {line["task_source"] for line in intents} == {"header"}, "I-16: the environment names the piece of work"


def test_the_readme_names_every_agent() -> None:
    """A file that nobody is told of is not there, and none is told of that is not there."""
    readme = (AGENTS / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r"`(\w+\.py)`", readme)) == {path.name for path in AGENTS.glob("*.py")}
    for path in AGENTS.glob("*.py"):
        assert f"examples/agents/{path.name}" in readme
