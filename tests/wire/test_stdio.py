"""The MCP face over a pipe: both eras, bad lines, and answers that count once they are in it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import anyio
import anyio.lowlevel
import anyio.streams.buffered
import anyio.to_thread
import jsonschema
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client

from gateway.strict_json import MAX_BYTES
from tests.sdk import ERAS
from tests.shop import OUTCOMES

pytestmark = pytest.mark.anyio


@pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")
@pytest.mark.parametrize("era", ERAS)
async def test_stdio_serves_both_eras_as_the_configured_principal(era: str) -> None:
    """The same tools and envelopes over a pipe, which also hears of changed lists and of resources it asked about."""
    heard: list[object] = []

    async def hear(message: object) -> None:
        heard.append(message)

    server = StdioServerParameters(command=sys.executable, args=["-m", "tests.shop"], env=dict(os.environ))
    async with Client(stdio_client(server), mode=era, message_handler=hear) as client:
        assert client.server_capabilities.tools.list_changed is True
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        result = await client.call_tool("shop_refund", {"invoice": "held"})
        jsonschema.validate(result.structured_content, tools["shop_refund"].output_schema)
        if era == "legacy":
            await client.subscribe_resource("shop://terms/inv_1")
        await client.call_tool("shop_refund", {"invoice": "announce"})
        wanted = {"ToolListChangedNotification", "ResourceUpdatedNotification"} if era == "legacy" else set()
        with anyio.fail_after(10):
            while not wanted <= {type(item).__name__ for item in heard}:
                await anyio.lowlevel.checkpoint()


async def test_a_bad_line_on_stdio_is_refused_and_the_process_lives_on() -> None:
    """I-5: each gets a JSON-RPC error, with the id of the request if it is one; the next request is served."""
    ping = b'{"jsonrpc": "2.0", "id": 9, "method": "ping"}'
    bad: list[tuple[bytes, int | str | None, int]] = [
        (b'{"jsonrpc": "2.0", "id": 1, "id": 2, "method": "ping"}', None, -32700),
        (b'{"jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": {"name": "x", "arguments": NaN}}', 3, -32700),
        (b'{"jsonrpc": "2.0", "id": 4, "method": "ping", "params": []}', 4, -32600),
        (b'{"jsonrpc": "2.0", "id": null, "method": "ping"}', None, -32600),
        (b"[]", None, -32600),
        (b"\xff", None, -32700),
        (b"[" * 5_000, None, -32700),
        (b" " * (MAX_BYTES + 2) + ping, None, -32700),
        (b'"' + b" " * 3 * MAX_BYTES + ping, None, -32700),
        (ping + b"\r" * MAX_BYTES + b"what is skipped", None, -32700),
        (b'{"jsonrpc":"2.0","id":5,"method":"ping","params":{"x":"' + b"x" * 2 * MAX_BYTES + b'"}}', 5, -32700),
        (b'{"method":"ping","params":{"x":"' + b"x" * MAX_BYTES + b'"},"jsonrpc":"2.0","id":"six"}', "six", -32700),
    ]
    command = [sys.executable, "-m", "tests.shop"]
    async with await anyio.open_process(command, stderr=None) as process:
        answers = anyio.streams.buffered.BufferedByteReceiveStream(process.stdout)
        with anyio.fail_after(20):
            for line, id, code in bad:
                await process.stdin.send(line + b"\n")
                answer = json.loads(await answers.receive_until(b"\n", 1_000_000))
                assert (answer["id"], answer["error"]["code"]) == (id, code)
            for line in (ping, ping.ljust(MAX_BYTES) + b"\r"):
                await process.stdin.send(line + b"\n")
                answer = json.loads(await answers.receive_until(b"\n", 1_000_000))
                assert answer == {"jsonrpc": "2.0", "id": 9, "result": {}}
        await process.stdin.aclose()
        await process.wait()


async def test_pipes_that_do_not_block_are_served_to_their_end() -> None:
    """What Node shares with a child may not block: all of it is read and answered, and the process ends with it."""
    (reads, asks), (answered, answers) = os.pipe(), os.pipe()
    os.set_blocking(reads, False)
    os.set_blocking(answers, False)
    with (
        anyio.fail_after(20),
        os.fdopen(answered, "rb") as lines,
        os.fdopen(asks, "wb", buffering=0) as requests,
    ):
        command = [sys.executable, "-m", "tests.shop"]
        async with await anyio.open_process(command, stdin=reads, stdout=answers, stderr=None) as process:
            os.close(reads)
            os.close(answers)
            for id in ("once" * 50_000, "and again" * 50_000):
                request = json.dumps({"jsonrpc": "2.0", "id": id, "method": "ping"}).encode() + b"\n"
                await anyio.to_thread.run_sync(requests.write, request, abandon_on_cancel=True)
                answer = await anyio.to_thread.run_sync(lines.readline, abandon_on_cancel=True)
                assert json.loads(answer) == {"jsonrpc": "2.0", "id": id, "result": {}}
            requests.close()
            assert await process.wait() == 0


async def test_on_stdio_an_answer_counts_as_delivered_once_it_is_in_the_pipe(tmp_path: Path) -> None:
    """I-15: reported once, for an answer that told the end; one that is held, running or unknown is still owed it."""
    stderr = tmp_path / "stderr"
    server = StdioServerParameters(command=sys.executable, args=["-m", "tests.shop"], env=dict(os.environ))
    with stderr.open("w") as errlog:
        async with Client(stdio_client(server, errlog=errlog), mode="legacy") as client:
            for invoice in ("held", "running", "unknown", "done"):
                await client.call_tool("shop_refund", {"invoice": invoice})
            with anyio.fail_after(10):
                while not stderr.read_text():
                    await anyio.lowlevel.checkpoint()
    assert stderr.read_text() == f"delivered {OUTCOMES['done'].action_id}\n"
