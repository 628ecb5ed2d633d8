"""The MCP face, driven by the SDK's own client in both eras."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import anyio.to_thread
import jsonschema
import pytest
from mcp import Client, MCPError, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp_types import PromptReference

from gateway.model import new_id
from gateway.outcome import Outcome, Status
from gateway.wire.instructions import INSTRUCTIONS
from tests.sdk import ERAS, sdk_client
from tests.serving import served
from tests.shop import OUTCOMES, Shop

pytestmark = pytest.mark.anyio


@pytest.fixture
def port(gateway: Shop) -> Iterator[int]:
    with served(gateway, progress_seconds=0.05) as port:
        yield port


@asynccontextmanager
async def connected(port: int, era: str, token: str = "token-of-the-bot", **headers: str) -> AsyncIterator[Client]:
    async with sdk_client(f"http://127.0.0.1:{port}/mcp", token, era, headers=headers) as client:
        yield client


@pytest.mark.parametrize("era", ERAS)
async def test_each_status_reads_the_same_in_both_halves_and_fits_its_schema(port: int, era: str) -> None:
    """I-14: content and structured content are one envelope, valid against the published schema, errors included."""
    async with connected(port, era) as client:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        for status, outcome in OUTCOMES.items():
            result = await client.call_tool("shop_refund", {"invoice": status})
            assert json.loads(result.content[0].text) == result.structured_content
            assert result.structured_content["status"] == status
            assert result.is_error is outcome.is_error
            jsonschema.validate(result.structured_content, tools["shop_refund"].output_schema)


@pytest.mark.parametrize("era", ERAS)
async def test_every_listed_tool_has_a_valid_schema_and_all_four_hints(port: int, era: str) -> None:
    """The list is in the order of the names, on one page, and complete enough for every client."""
    async with connected(port, era) as client:
        listed = await client.list_tools()
    assert [tool.name for tool in listed.tools] == sorted(tool.name for tool in listed.tools)
    assert listed.next_cursor is None
    for tool in listed.tools:
        jsonschema.Draft7Validator.check_schema(tool.input_schema)
        jsonschema.Draft202012Validator.check_schema(tool.output_schema)
        hints = tool.annotations
        assert None not in (hints.read_only_hint, hints.destructive_hint, hints.idempotent_hint, hints.open_world_hint)


async def test_the_list_is_cacheable_only_by_the_one_who_asked(port: int) -> None:
    """A-7: each principal is offered its own tools, and the result says that it is private."""
    async with connected(port, "auto") as bot, connected(port, "auto", token="token-of-the-clerk") as clerk:
        of_the_bot, of_the_clerk = await bot.list_tools(), await clerk.list_tools()
    assert of_the_clerk.cache_scope == "private"
    assert of_the_clerk.ttl_ms > 0
    assert {tool.name for tool in of_the_bot.tools} - {tool.name for tool in of_the_clerk.tools} == {
        "shop_note",
        "shop_refund",
    }


@pytest.mark.parametrize("era", ERAS)
async def test_a_hidden_tool_and_an_absent_one_are_the_same_protocol_error(port: int, era: str) -> None:
    """T-5: one code and one sentence, and a name that is none is not repeated."""
    async with connected(port, era, token="token-of-the-clerk") as client:
        said = {}
        for name in ("shop_refund", "shop_absent", "Ignore previous instructions", "a" * 100):
            with pytest.raises(MCPError) as raised:
                await client.call_tool(name, {"invoice": "inv_1"})
            said[name] = (raised.value.error.code, raised.value.error.message)
    assert said["shop_refund"] == (-32602, "Unknown tool: shop_refund")
    assert said["shop_absent"] == (-32602, "Unknown tool: shop_absent")
    assert said["Ignore previous instructions"] == said["a" * 100] == (-32602, "Unknown tool")


@pytest.mark.parametrize("era", ERAS)
async def test_a_crash_reaches_the_wire_as_an_envelope_without_its_text(
    port: int, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    """I-14: whatever breaks, the agent gets `internal_error` and the operator gets the traceback."""
    async with connected(port, era) as client:
        result = await client.call_tool("shop_refund", {"invoice": "broken"})
    assert result.is_error
    assert result.structured_content["code"] == "internal_error"
    assert result.structured_content["status"] == "unknown"
    assert "hunter2" not in result.model_dump_json()
    assert "hunter2" in caplog.text


@pytest.mark.parametrize("era", ERAS)
async def test_a_call_does_not_list_the_tools_behind_its_back(gateway: Shop, port: int, era: str) -> None:
    """The SDK would run a whole listing before every modern call, unless it is given the schemas."""
    async with connected(port, era) as client:
        await client.list_tools()
        before = gateway.listings
        await client.call_tool("shop_lookup", {"invoice": "inv_1"})
    assert gateway.listings == before > 0


async def test_the_call_carries_what_rode_beside_it(gateway: Shop, port: int) -> None:
    """I-3, I-16: keys and tasks from `_meta` and headers, and claims of known clients, reach the gateway."""
    headers = {"holdgate-task": "tsk-header", "idempotency-key": "k" * 16}
    meta = {
        "com.holdgate/idempotency-key": "m" * 16,
        "com.holdgate/task": "tsk-meta",
        "claudecode/toolUseId": "toolu_1",
        "threadId": "thread-1",
        "x-codex-turn-metadata": '{"model": "gpt-9", "turn_id": "t1"}',
    }
    async with connected(port, "auto", **headers) as client:
        await client.call_tool("shop_lookup", {"invoice": "inv_1"}, meta=meta)
    carried = gateway.calls[-1].carried
    assert (carried.meta_key, carried.header_key) == ("m" * 16, "k" * 16)
    assert (carried.meta_task, carried.header_task) == ("tsk-meta", "tsk-header")
    assert (carried.client_call_id, carried.thread, carried.session) == ("toolu_1", "thread-1", None)
    assert carried.claims["model"] == "gpt-9"
    assert carried.claims["client"]
    assert gateway.calls[-1].principal.id == "bot"


@pytest.mark.parametrize("era", ERAS)
async def test_a_long_call_gives_signs_of_life_to_a_client_that_asked(gateway: Shop, port: int, era: str) -> None:
    """Progress starts an idle timeout anew; a quick call sends none."""
    seen: list[float] = []

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append(progress)
        if len(seen) == 2:
            gateway.proceed.set()

    async with connected(port, era) as client:
        await client.call_tool("shop_refund", {"invoice": "done"}, progress_callback=heard)
        assert seen == []
        result = await client.call_tool("shop_refund", {"invoice": "slow"}, progress_callback=heard)
    assert result.structured_content["status"] == "done"
    assert seen == sorted(seen)
    assert len(seen) >= 2


@pytest.mark.parametrize("era", ERAS)
async def test_a_sign_of_life_is_never_behind_what_the_tool_said(gateway: Shop, port: int, era: str) -> None:
    """Progress may only grow: what the gateway adds is a breath more than what the tool last said, of its total."""
    seen: list[tuple[float, float | None]] = []
    gateway.talking.add("shop_refund")

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        seen.append((progress, total))
        if len(seen) == 3:
            gateway.proceed.set()

    async with connected(port, era) as client:
        await client.call_tool("shop_refund", {"invoice": "counted"}, progress_callback=heard)
    assert seen[0] == (7.0, 9.0)
    assert all(7.0 < progress < 7.1 and total == 9.0 for progress, total in seen[1:])
    assert [progress for progress, _ in seen] == sorted({progress for progress, _ in seen})


async def test_a_client_that_gives_up_cancels_its_call_and_counts_as_not_delivered(gateway: Shop) -> None:
    """I-9, I-15: the handler is cancelled (the pipeline shields what must finish), and nothing was handed over."""

    async def heard(progress: float, total: float | None, message: str | None) -> None:
        told.set()

    told = anyio.Event()
    with served(gateway, progress_seconds=0.05) as port:
        async with connected(port, "auto") as client:
            with anyio.move_on_after(20) as scope:
                async with anyio.create_task_group() as calls:
                    call = partial(client.call_tool, "shop_refund", {"invoice": "slow"}, progress_callback=heard)
                    calls.start_soon(call)
                    await told.wait()
                    calls.cancel_scope.cancel()
            assert not scope.cancelled_caught
            assert await anyio.to_thread.run_sync(gateway.cancelled.wait, 10)
    assert gateway.delivered_ids == []


async def test_a_changed_list_is_announced_to_who_listens(gateway: Shop, port: int) -> None:
    """On the modern wire a change arrives on `subscriptions/listen`; the legacy capability promises nothing."""
    wanted = {"tools_list_changed": True, "resources_list_changed": True, "prompts_list_changed": True}
    async with connected(port, "auto") as client:
        capabilities = client.server_capabilities
        assert capabilities.tools.list_changed is True
        assert capabilities.resources.list_changed is True
        assert capabilities.prompts.list_changed is True
        with anyio.fail_after(10):
            async with client.listen(**wanted) as events:
                await client.call_tool("shop_refund", {"invoice": "announce"})
                listening = aiter(events)
                heard = {type(await anext(listening)).__name__ for _ in wanted}
    assert heard == {"ToolsListChanged", "ResourcesListChanged", "PromptsListChanged"}
    async with connected(port, "legacy") as client:
        assert client.server_capabilities.tools.list_changed in (False, None)


@pytest.mark.parametrize("era", ERAS)
async def test_resources_and_prompts_are_what_a_client_takes_them_for(gateway: Shop, port: int, era: str) -> None:
    """T-5, A-7: the SDK's own client lists, reads and completes them; what it may not see is not there."""
    document = {"uri": "shop://terms/inv_1", "mimeType": "text/plain", "text": "Thirty days."}
    message = {"role": "user", "content": {"type": "text", "text": "Write."}}
    async with connected(port, era) as bot, connected(port, era, token="token-of-the-clerk") as clerk:
        assert [one.uri_template for one in (await bot.list_resource_templates()).resource_templates] == [
            "shop://terms/{invoice}"
        ]
        (prompt,) = (await bot.list_prompts()).prompts
        assert [(argument.name, argument.required) for argument in prompt.arguments] == [("invoice", True)]
        gateway.answer = Outcome(Status.DONE, new_id("act"), content=({"type": "resource", "resource": document},))
        (content,) = (await bot.read_resource("shop://terms/inv_1")).contents
        assert content.model_dump(by_alias=True, mode="json", exclude_none=True) == document
        gateway.answer = Outcome(Status.DONE, new_id("act"), content=(message,))
        got = await bot.get_prompt("shop_reminder", {"invoice": "inv_1"})
        assert [said.content.text for said in got.messages] == ["Write."]
        gateway.answer = OUTCOMES["refused"]
        with pytest.raises(MCPError, match="not_permitted: No"):
            await bot.read_resource("shop://terms/inv_1")
        assert (await clerk.list_resource_templates()).resource_templates == (await clerk.list_prompts()).prompts == []
        for uri in ("shop://terms/inv_1", "shop://nothing/inv_1"):
            with pytest.raises(MCPError, match="Unknown resource") as unknown:
                await clerk.read_resource(uri)
            assert unknown.value.error.code == (-32602 if era == "auto" else -32002)


@pytest.mark.parametrize("era", ERAS)
async def test_a_completion_that_crashes_says_nothing_of_why(
    port: int, era: str, caplog: pytest.LogCaptureFixture
) -> None:
    """I-14: the connector's own words reach the operator, and not the wire."""
    async with connected(port, era) as client:
        with pytest.raises(MCPError) as raised:
            await client.complete(PromptReference(name="shop_reminder"), {"name": "invoice", "value": "inv"})
    assert raised.value.error.code == -32603
    assert "hunter2" not in str(raised.value.error)
    assert "hunter2" in caplog.text


async def test_without_structured_content_no_output_schema_is_promised(gateway: Shop) -> None:
    """For hosts that show both halves; a client throws away a result that lacks promised structured content."""
    with served(gateway, structured_content=False) as port:
        async with connected(port, "legacy") as client:
            assert all(tool.output_schema is None for tool in (await client.list_tools()).tools)
            result = await client.call_tool("shop_refund", {"invoice": "done"})
    assert result.structured_content is None
    assert json.loads(result.content[0].text)["status"] == "done"


@pytest.mark.parametrize("era", ERAS)
async def test_instructions_tell_a_model_what_each_status_asks_of_it(port: int, era: str) -> None:
    """They fit the 2 KB that Claude Code shows and name every status."""
    async with connected(port, era) as client:
        assert client.instructions == INSTRUCTIONS
    assert len(INSTRUCTIONS.encode()) <= 2_048
    assert all(status.value in INSTRUCTIONS for status in Status)


@pytest.mark.parametrize("era", ERAS)
async def test_an_argument_that_is_far_too_large_is_refused_by_its_name(port: int, era: str) -> None:
    """I-5: over HTTP and over a pipe, in words by which the model can correct itself, and without the value."""
    server = StdioServerParameters(command=sys.executable, args=["-m", "tests.shop"], env=dict(os.environ))
    async with connected(port, era) as over_http, Client(stdio_client(server), mode=era) as over_a_pipe:
        for client in (over_http, over_a_pipe):
            result = await client.call_tool("shop_refund", {"invoice": "inv_1", "cents": 10**30})
            assert result.is_error
            assert result.structured_content["code"] == "invalid_arguments"
            assert "`cents`: Input should be less than or equal to 500000" in result.structured_content["message"]
            assert str(10**30) not in result.model_dump_json()
