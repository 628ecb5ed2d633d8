"""A LangGraph agent whose tools come through Holdgate, by langchain-mcp-adapters.

HOLDGATE_KEY=... ANTHROPIC_API_KEY=... python langgraph_agent.py "Read ticket tic_2001 and do what is right."
"""

import asyncio
import os
import sys

from langchain.agents import create_agent
from langchain_anthropic import ChatAnthropic
from langchain_mcp_adapters.client import MultiServerMCPClient
from langchain_mcp_adapters.tools import load_mcp_tools

URL = os.environ.get("HOLDGATE_URL", "http://127.0.0.1:8420/mcp")
HEADERS = {
    "Authorization": f"Bearer {os.environ['HOLDGATE_KEY']}",
    "Holdgate-Task": os.environ.get("HOLDGATE_TASK", ""),  # one piece of work: its budget, and what counts as a repeat
}
MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5")


async def main(errand: str) -> str:
    """Let the graph run until the model asks for no more tools, and return what it says then."""
    client = MultiServerMCPClient({"holdgate": {"transport": "http", "url": URL, "headers": HEADERS}})
    # One session for the whole run: without it the adapter opens one for every call.
    async with client.session("holdgate", auto_initialize=False) as session:
        holdgate = await session.initialize()
        graph = create_agent(
            ChatAnthropic(model=MODEL, max_tokens=4000),
            # A refusal is an answer for the model to read, not an exception that ends the graph.
            await load_mcp_tools(session, handle_tool_errors=True),
            # What `held`, `refused` and `unknown` ask of a model; the adapter does not pass it on by itself.
            system_prompt=f"You are a support agent of Acme.\n\n{holdgate.instructions}",
        )
        ended = await graph.ainvoke({"messages": [("user", errand)]}, {"recursion_limit": 60})
    return ended["messages"][-1].text


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
