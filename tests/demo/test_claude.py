"""`holdgate demo --play claude`, against a local endpoint that plays the model from a script."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.demo.running import environment, holdgate, nothing_runs_in
from tests.services import missing

Request = dict[str, Any]
Block = dict[str, Any]


@pytest.fixture(autouse=True)
def anthropic_is_installed() -> None:
    """The optional extra; its absence is a failure only where everything is required."""
    if importlib.util.find_spec("anthropic") is None:
        missing("anthropic", "pip install 'holdgate[claude]'")


def refund_the_grinder(asked: Request) -> Block:
    """A model's next word: read the invoice, refund it whole, wait for the human, and be done."""
    results = [json.loads(block["content"]) for block in _tool_results(asked)]
    errands = sum(isinstance(message["content"], str) for message in asked["messages"])
    match errands, results:
        case 1, []:
            return _use("billing_lookup_invoice", {"invoice": "inv_1002"})
        case 1, [read]:
            cents = read["data"]["balance_cents"]
            refund = {"invoice": "inv_1002", "cents": cents, "cause": "duplicate", "reason": "It was charged twice."}
            return _use("billing_refund", {**refund, "evidence": [read["action_id"]]})
        case 1, [_, held]:
            return _use("get_action", {"action_id": held["action_id"], "wait_seconds": 20})
        case _:
            return {"type": "text", "text": "That is all."}


def look_up_for_ever(asked: Request) -> Block:
    """A model that never comes to an end."""
    return _use("billing_lookup_invoice", {"invoice": "inv_1002"})


def test_a_model_plays_with_the_published_tools_and_a_human_decides(tmp_path: Path) -> None:
    """What tools/list publishes is sent as it is; a held refund is approved by a person and runs once."""
    with model(refund_the_grinder) as (url, requests):
        ended = holdgate(tmp_path, "demo", "--play", "claude", env=_key(url))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tools = {tool["name"]: tool for tool in requests[0]["tools"]}
    assert tools["billing_refund"]["input_schema"]["properties"]["evidence"]["type"] == "array"
    assert "get_action" in tools
    read, held, done = (json.loads(block["content"]) for block in _tool_results(requests[-1]))
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


@contextmanager
def model(speak: Callable[[Request], Block] | None) -> Iterator[tuple[str, list[Request]]]:
    """A local `POST /v1/messages`, and what it was asked; without a script it refuses every key."""
    requests: list[Request] = []

    class Messages(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(asked)
            if speak is None:
                self._send(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}})
                return
            block = speak(asked)
            reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
            usage = {"input_tokens": 1, "output_tokens": 1}
            answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"]}
            self._send(200, {**answer, "content": [block], "stop_reason": reason, "usage": usage})

        def _send(self, status: int, content: dict[str, Any]) -> None:
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Messages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def _key(url: str) -> dict[str, str]:
    local = {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return {"ANTHROPIC_API_KEY": "sk-test", "ANTHROPIC_BASE_URL": url, **local}


def _use(tool: str, arguments: dict[str, Any]) -> Block:
    return {"type": "tool_use", "id": f"toolu_{os.urandom(4).hex()}", "name": tool, "input": arguments}


def _tool_results(asked: Request) -> list[Block]:
    contents = (message["content"] for message in asked["messages"] if message["role"] == "user")
    return [block for content in contents if not isinstance(content, str) for block in content]
