"""`examples/`: other people's projects, played through a real gateway from a copy outside of the repository."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from gateway.settings import Home
from gateway.testing.driver import PATIENCE
from tests.services import free_port

EXAMPLE = Path(__file__).parents[1] / "examples" / "hello"
HOLDGATE = [sys.executable, "-P", "-m", "gateway.cli"]


@pytest.fixture
def hello(tmp_path: Path) -> Path:
    """The example as its README says, on ports that are free here."""
    folder = tmp_path / "hello"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("holdgate-data", "__pycache__"))
    settings = folder / "holdgate.yaml"
    text = settings.read_text()
    settings.write_text(text.replace("8440", str(free_port())).replace("8450", str(free_port())))
    create = ["-c", str(settings), "keys", "create", "office-bot", "--group", "office", "--keep"]
    for command in (["init", str(folder)], create):
        subprocess.run([*HOLDGATE, *command], check=True, capture_output=True, timeout=60)
    return folder


@pytest.fixture
def url(hello: Path) -> Iterator[str]:
    """The MCP endpoint of a gateway that serves the example, over its upstream."""
    home = Home(hello / "holdgate.yaml")
    base_url = home.settings.connector["hello"].base_url
    assert base_url
    upstream = [sys.executable, str(hello / "upstream.py"), base_url.rpartition(":")[2]]
    gateway = [*HOLDGATE, "-c", str(home.file), "serve", "--json"]
    with (
        subprocess.Popen(upstream, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as signs,
        subprocess.Popen(gateway, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as serving,
    ):
        try:
            assert signs.stdout
            assert serving.stdout
            assert signs.stdout.readline()
            yield json.loads(serving.stdout.readline())["url"]
        finally:
            serving.terminate()
            serving.wait(timeout=PATIENCE)
            signs.terminate()


def test_a_read_a_preview_and_a_write_go_through(hello: Path, url: str) -> None:
    """Somebody else's connector and policy are loaded from their folder, without a change to this one."""
    told = asyncio.run(_office_bot(hello, url))
    assert told["tools"] == ["hello_change_sign", "hello_read_sign"]
    assert told["preview"]["diff"][0]["before"] == told["read"]["data"]["text"]
    assert told["preview"]["diff"][0]["after"] == told["write"]["data"]["text"] == "Tea is ready."
    assert told["read again"]["data"]["text"] == "Tea is ready."
    assert told["lobby"]["status"] == "held"


def test_its_policy_examples_pass(hello: Path) -> None:
    """What the README names besides is true: `policy test` is content with the examples of policy.yaml."""
    command = [*HOLDGATE, "-c", str(hello / "holdgate.yaml"), "policy", "test"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_its_own_tests_pass(hello: Path) -> None:
    """Somebody else tests connector and policy with nothing but `gateway.testing`."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error"]
    ended = subprocess.run(command, cwd=hello, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


async def _office_bot(hello: Path, url: str) -> dict[str, Any]:
    key = (hello / "holdgate-data" / "keys" / "office-bot.key").read_text().strip()
    async with (
        httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=20, trust_env=False) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):

        async def call(tool: str, **arguments: Any) -> dict[str, Any]:
            return dict((await client.call_tool(tool, arguments)).structured_content or {})

        change = {"room": "kitchen", "text": "Tea is ready.", "reason": "There is no coffee left."}
        return {
            "tools": [tool.name for tool in (await client.list_tools()).tools if tool.name.startswith("hello_")],
            "read": await call("hello_read_sign", room="kitchen"),
            "preview": await call("hello_change_sign", **change, dry_run=True),
            "write": await call("hello_change_sign", **change),
            "read again": await call("hello_read_sign", room="kitchen"),
            "lobby": await call("hello_change_sign", room="lobby", text="Closed.", reason="It is Saturday."),
        }
