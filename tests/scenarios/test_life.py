"""The life of a gateway process: how clients of both eras meet it, policies that change under it, and its end."""

from __future__ import annotations

import asyncio
import json
import subprocess
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from mcp_types import TextContent

from gateway.ledger_line import Event
from gateway.outcome import State
from gateway.testing.driver import PATIENCE
from tests.acme import Acme
from tests.gate import Gate
from tests.place import REFUND, Place, policy
from tests.sdk import ERAS, sdk_client
from tests.services import eventually


@pytest.mark.parametrize("era", ERAS)
def test_a_repeat_is_recognised_across_eras(running: Gate, acme: Acme, era: Any) -> None:
    """I-4, F-8: the SDK's own client, in either era, and the bare wire are one caller: the repeat is not done again."""

    async def play() -> dict[str, Any]:
        async with sdk_client(running.url, running.place.keys["bot"], era) as client:
            names = {tool.name for tool in (await client.list_tools()).tools}
            assert {"plain_refund", "get_action", "cancel_action", "list_my_actions"} <= names
            result = await client.call_tool("plain_refund", REFUND)
            (said,) = result.content
            assert isinstance(said, TextContent)
            assert json.loads(said.text) == result.structured_content
            return dict(result.structured_content)

    first = asyncio.run(play())
    assert first["status"] == "done"
    assert asyncio.run(play())["status"] == "replayed"
    again = running.call("plain_refund", REFUND)
    assert (again["status"], again["data"]) == ("replayed", first["data"])
    assert len(acme.mutating()) == 1


def test_a_policy_changes_under_a_running_gateway(running: Gate, acme: Acme) -> None:
    """H-4, L-2: an edit is in force without a restart and on the ledger; a broken edit changes nothing."""
    place = running.place
    place.write_policy(policy({"plain_refund": {"max": {"cents": 100}}}))

    def dearest() -> str | None:
        answer = running.call("plain_refund", {**REFUND, "dry_run": True})
        return answer.get("code")

    assert eventually(lambda: dearest() == "not_permitted", "the new policy")
    (change,) = place.lines(event=Event.CONFIG)
    assert change["policy"] != change["policy_before"]
    place.write_policy(policy({"plain_refund": {"max": {"cents": 1_000, "dollars": 5}}}))
    assert eventually(lambda: "policy_refused" in running.log.read_text(), "the broken edit to be told of")
    assert dearest() == "not_permitted"
    assert acme.mutating() == []


def test_a_stop_in_order_waits_for_what_is_under_way(running: Gate, acme: Acme) -> None:
    """I-9: told to end, it answers the call that it has begun, closes the ledger's chapter, and exits 0."""
    acme.fault("wait_for_release", "before", method="POST")
    with ThreadPoolExecutor(2) as hands:
        pending = hands.submit(running.call, "plain_refund", REFUND)
        acme.wait_for_parked()
        assert running.process is not None
        running.process.terminate()
        acme.release()
        assert pending.result(20)["status"] == "done"
        assert running.stop() == 0
    place = running.place
    assert place.lines()[-1]["event"] == Event.WRITER_CLOSE
    assert [row.state for row in place.actions()] == [State.SUCCEEDED]
    assert place.verify().verdict == 0


def test_a_signal_ends_a_stdio_gateway_in_order(place: Place) -> None:
    """I-9: a client that ends its server by a signal, and keeps its end of the pipe open, leaves no process behind."""
    command = [*place.holdgate, "serve", "--stdio"]
    hello = {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "a client", "version": "1"}}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as gateway:
        assert gateway.stdin
        assert gateway.stdout
        gateway.stdin.write(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}) + "\n")
        gateway.stdin.flush()
        assert "serverInfo" in gateway.stdout.readline()
        gateway.terminate()
        assert gateway.wait(timeout=PATIENCE) == 0
    assert [line["event"] for line in place.lines()][-1] == Event.WRITER_CLOSE
