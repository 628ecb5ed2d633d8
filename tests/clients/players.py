"""How the story is played with each official client: an address and a key go in, what it handed on comes out."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anyio
import httpx2
from mcp import ClientSession, MCPError
from mcp.client.streamable_http import streamable_http_client
from mcp_types import PaginatedRequestParams

from tests.clients.story import Handed, Played, Step, filled
from tests.node import environment, modules, node, program

STATELESS = "2026-07-28"
SECONDS = 60.0

Player = Callable[[str, str, Sequence[Step]], Played]

PLAY = Path(__file__).with_name("play.mjs")


def python(era: str) -> Player:
    """The Python SDK's `ClientSession`, which validates what it is given against the listed schema."""

    async def play(url: str, key: str, steps: Sequence[Step]) -> Played:
        handed: dict[str, Handed] = {}
        raised: dict[str, int | str] = {}
        async with (
            httpx2.AsyncClient(headers={"authorization": f"Bearer {key}"}, timeout=SECONDS) as http,
            streamable_http_client(url, http_client=http) as (reading, writing),
            ClientSession(reading, writing) as session,
        ):
            await (session.discover() if era == STATELESS else session.initialize())
            listed = await session.list_tools()
            tools = list(listed.tools)
            while listed.next_cursor is not None:
                listed = await session.list_tools(params=PaginatedRequestParams(cursor=listed.next_cursor))
                tools += listed.tools
            for step in steps:
                try:
                    result = await session.call_tool(step["tool"], filled(step["arguments"], handed))
                except MCPError as error:
                    raised[step["name"]] = error.error.code
                else:
                    text, *beside = result.content
                    structured, is_error = result.structured_content, bool(result.is_error)
                    handed[step["name"]] = Handed(text.text, structured, is_error, len(beside))
        dumped = (tool.model_dump(mode="json", by_alias=True, exclude_none=True) for tool in tools)
        return Played({tool["name"]: tool for tool in dumped}, handed, raised)

    return lambda url, key, steps: anyio.run(play, url, key, steps)


def said_by(script: Path, **told: Any) -> dict[str, Any]:
    """What a script of a TypeScript client answers on stdout to what it is told on stdin, both as JSON."""
    ran = subprocess.run(
        [node(), script],
        input=json.dumps({"modules": str(modules()), **told}),
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    said: dict[str, Any] = json.loads(ran.stdout)
    return said


def typescript(sdk: int, era: str) -> Player:
    """`@modelcontextprotocol/sdk` 1.x, or `@modelcontextprotocol/client` 2.x: one Node process for the whole story."""

    def play(url: str, key: str, steps: Sequence[Step]) -> Played:
        said = said_by(PLAY, sdk=sdk, era=era, url=url, key=key, steps=list(steps))
        return Played(
            {tool["name"]: tool for tool in said["tools"]},
            {name: Handed(**handed) for name, handed in said["handed"].items()},
            said["raised"],
        )

    return play


def inspector(url: str, key: str, steps: Sequence[Step]) -> Played:
    """`inspector --cli`, which runs one request and ends."""
    listed = inspected(url, key, "--method", "tools/list", "--strict")
    handed: dict[str, Handed] = {}
    raised: dict[str, int | str] = {}
    for step in steps:
        arguments = json.dumps(filled(step["arguments"], handed))
        named = ("--method", "tools/call", "--tool-name", step["tool"], "--tool-args-json", arguments)
        answer = inspected(url, key, *named)
        if "result" in answer:
            result = answer["result"]
            text, *beside = result["content"]
            structured, is_error = result.get("structuredContent"), result.get("isError", False)
            handed[step["name"]] = Handed(text["text"], structured, is_error, len(beside))
        else:
            raised[step["name"]] = answer["error"]["code"]
    return Played({tool["name"]: tool for tool in listed["result"]["tools"]}, handed, raised)


def inspected(url: str, key: str, *words: str, era: str = "legacy") -> Any:
    """One run of the inspector: the JSON it printed, on stdout or as its error on stderr.

    Args:
        era: `legacy`, as it has it by itself, or `modern`.
    """
    ran = subprocess.run(
        [
            *(*program("inspector"), "--cli", url, "--transport", "http", "--protocol-era", era),
            *("--header", f"Authorization: Bearer {key}", "--format", "json", "--quiet", *words),
        ],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return json.loads(ran.stdout or ran.stderr)


CLIENTS: dict[str, Player] = {
    "python-2025-11-25": python("2025-11-25"),
    "python-2026-07-28": python(STATELESS),
    "typescript-1": typescript(1, "2025-11-25"),
    "typescript-2-2025-11-25": typescript(2, "2025-11-25"),
    "typescript-2-2026-07-28": typescript(2, STATELESS),
    "inspector": inspector,
}
"""The official clients, each in the eras that it speaks."""
