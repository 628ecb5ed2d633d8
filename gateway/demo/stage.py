"""Where a play takes place: a running demo, the agent's MCP session, Acme's journal, and people at a command line."""

from __future__ import annotations

import asyncio
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import httpx2
from mcp import Client, Tool
from mcp.client.streamable_http import streamable_http_client

from gateway import setup
from gateway.demo.world import AGENT, World, found
from gateway.errors import HoldgateError, StartupError
from gateway.instances import HEADER, serves
from gateway.keyring import Keyring
from gateway.ledger.verify import Report, verify
from gateway.store.transaction import Transaction

Envelope: TypeAlias = dict[str, Any]
"""One answer of the gateway: `{status, action_id, data?, diff?, code?, message?, next?, …}`."""

T = TypeVar("T")

STORY_INVOICES: Final = ("inv_1001", "inv_1002")
"""The invoices of the story's two refunds. Each can be refunded once, so a demo can tell the story once."""

_SECONDS_TO_STOP: Final = 60.0


@contextmanager
def stage(folder: Path, *, fresh: bool = False) -> Iterator[World]:
    """The demo that runs in `folder`; when none does, one in a scratch folder, until the end of the block.

    Args:
        fresh: whether no money may have moved in it yet; a demo where some has is left alone.

    Raises:
        StartupError: it could not be started.
    """
    world = found(folder)
    if world is not None and _answers(world) and not (fresh and _money_moved(world)):
        yield world
        return
    with tempfile.TemporaryDirectory(prefix="holdgate-play-") as scratch, _child(Path(scratch)) as world:
        yield world


@asynccontextmanager
async def agent(world: World) -> AsyncIterator[Agent]:
    """The demo's agent, connected over MCP as any client is; everything it does in the block is one task.

    Raises:
        HoldgateError: the gateway went away.
    """
    task = f"play-{secrets.token_hex(4)}"
    headers = {"authorization": f"Bearer {world.key(AGENT)}", "holdgate-task": task}
    try:
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60, trust_env=False) as http,
            Client(streamable_http_client(world.home.url, http_client=http)) as client,
        ):
            yield Agent(client)
    except BaseExceptionGroup as group:
        # The client's task groups wrap whatever the block raised.
        sole: BaseException = group
        while isinstance(sole, BaseExceptionGroup) and len(sole.exceptions) == 1:
            sole = sole.exceptions[0]
        if isinstance(sole, httpx2.HTTPError):
            raise HoldgateError("The demo stopped answering. Look at what it printed, and start it again.") from sole
        raise sole from None


class Agent:
    """An MCP session, as far as an agent cares: what there is to call, and calling it."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.actions: list[str] = []
        """Ids of the actions that the answers spoke of, in order."""

    async def tools(self) -> list[Tool]:
        """The tools this agent is offered."""
        return (await self._client.list_tools()).tools

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Envelope:
        """Call a tool; refusals and failures are answers too.

        Raises:
            MCPError: there is no such tool for this agent.
        """
        result = await self._client.call_tool(tool, dict(arguments))
        envelope: Envelope = dict(result.structured_content or {})
        if envelope["action_id"] not in self.actions:
            self.actions.append(envelope["action_id"])
        return envelope


def effects(world: World, path: str) -> list[dict[str, Any]]:
    """The changes that Acme's journal has of one path, oldest first: the witness that is not the gateway."""
    answer = httpx2.get(f"{world.acme_url}/_control/journal", trust_env=False, timeout=15).raise_for_status()
    return [entry for entry in answer.json()["entries"] if entry["mutating"] and entry["path"] == path]


def _money_moved(world: World) -> bool:
    return any(effects(world, f"/invoices/{invoice}/refunds") for invoice in STORY_INVOICES)


@dataclass(frozen=True, slots=True)
class Said:
    """What a command printed, and how it ended."""

    command: str
    code: int
    text: str


async def approve(world: World, action_id: str, person: str) -> Said:
    """Approve a hold from the command line, as one of the demo's people."""
    arguments = ["approvals", "approve", action_id, "--as", person, "--yes"]
    return await asyncio.to_thread(_holdgate, world, arguments)


def ledger_head(world: World) -> int:
    """The number of the ledger's last line."""
    return _look(world, lambda tx: tx.ledger.head()[0])


def ledger_lines(world: World, after: int, actions: list[str]) -> list[dict[str, Any]]:
    """The lines since then that the agent caused, and those of others about its actions."""
    since = _look(world, lambda tx: [json.loads(line.text) for line in tx.ledger.lines(after=after)])
    return [line for line in since if line.get("principal") == AGENT or line.get("action") in actions]


def verification(world: World) -> Report:
    """Whether every line of the ledger is there, unchanged and in its place."""
    keyring = Keyring.load(world.home.gateway_key)
    public = keyring.checkpoint_key.public_key()
    return _look(world, lambda tx: verify(tx, keyring.head_mac, public, world.home.checkpoints))


def _look(world: World, work: Callable[[Transaction], T]) -> T:
    store = setup.open_store(world.home)
    try:
        return store.look(work)
    finally:
        store.close()


def _holdgate(world: World, arguments: list[str]) -> Said:
    command = [sys.executable, "-P", "-m", "gateway.cli", "-c", str(world.home.file), *arguments]
    ended = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False, timeout=60)  # noqa: S603 - our own program
    return Said(f"holdgate {' '.join(arguments)}", ended.returncode, (ended.stdout + ended.stderr).strip())


def _answers(world: World) -> bool:
    """Whether a gateway is up at this folder's port, and it is this folder that it serves."""
    try:
        answer = httpx2.get(world.home.ready_url, trust_env=False, timeout=5)
    except (httpx2.HTTPError, OSError):
        return False
    return answer.status_code == 200 and serves(world.home.instances, answer.headers.get(HEADER, ""))


@contextmanager
def _child(folder: Path) -> Iterator[World]:
    """A demo as a process of its own, which ends when its stdin does."""
    with (folder / "demo.log").open("w+b") as log:
        process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-P", "-m", "gateway.demo", str(folder), "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            start_new_session=True,
        )
        with process:
            assert process.stdout
            try:
                # It prints when it answers, and not before.
                started = process.stdout.readline()
                world = found(folder)
                if not started or world is None:
                    log.seek(0)
                    raise StartupError(
                        f"The demo for the play did not start: {log.read().decode(errors='replace').strip()}",
                        remedy="Run `holdgate demo` to see why.",
                    )
                yield world
            finally:
                process.communicate(timeout=_SECONDS_TO_STOP)
