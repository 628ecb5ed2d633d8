"""A plain tool loop: the Anthropic SDK asks the model, and an MCP client calls what it wants, through Holdgate.

HOLDGATE_KEY=... ANTHROPIC_API_KEY=... python anthropic_sdk.py "Read ticket tic_2001 and do what is right."
"""

import asyncio
import os
import sys

import httpx2
from anthropic import AsyncAnthropic
from anthropic.types import MessageParam, ToolResultBlockParam, ToolUseBlock
from mcp import Client, MCPError
from mcp.client.streamable_http import streamable_http_client

URL = os.environ.get("HOLDGATE_URL", "http://127.0.0.1:8420/mcp")
HEADERS = {
    "Authorization": f"Bearer {os.environ['HOLDGATE_KEY']}",
    "Holdgate-Task": os.environ.get("HOLDGATE_TASK", ""),  # one piece of work: its budget, and what counts as a repeat
}
MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5")
TURNS = 30


async def call(holdgate: Client, wanted: ToolUseBlock) -> ToolResultBlockParam:
    """Call one tool. Its answer goes to the model whole: `status` says what happened, and `next` what to do."""
    try:
        result = await holdgate.call_tool(wanted.name, wanted.input)
        text, failed = result.content[0].text, bool(result.is_error)
    except MCPError as error:  # no such tool; a refusal is an answer and comes as one
        text, failed = error.error.message, True
    except (
        httpx2.HTTPError
    ) as error:  # the write may have happened: the same call again finds out, and is not done twice
        text, failed = f"The answer got lost ({error!r}). Make the very same call again.", True
    return {"type": "tool_result", "tool_use_id": wanted.id, "content": text, "is_error": failed}


async def main(errand: str) -> str:
    """Let the model work until it asks for no more tools, and return what it says then."""
    async with (
        httpx2.AsyncClient(headers=HEADERS, timeout=60) as http,
        Client(streamable_http_client(URL, http_client=http)) as holdgate,
    ):
        listed = (await holdgate.list_tools()).tools
        tools = [{"name": t.name, "description": t.description, "input_schema": t.input_schema} for t in listed]
        messages: list[MessageParam] = [{"role": "user", "content": errand}]
        for _ in range(TURNS):
            answer = await AsyncAnthropic().messages.create(
                model=MODEL,
                max_tokens=4000,
                system=f"You are a support agent of Acme.\n\n{holdgate.instructions}",
                tools=tools,
                messages=messages,
            )
            messages.append({"role": "assistant", "content": answer.content})
            wanted = [block for block in answer.content if block.type == "tool_use"]
            if not wanted:
                return "".join(block.text for block in answer.content if block.type == "text")
            messages.append({"role": "user", "content": [await call(holdgate, block) for block in wanted]})
    return f"The model found no end in {TURNS} turns."


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
