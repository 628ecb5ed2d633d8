"""A Pydantic AI agent whose tools come through Holdgate.

HOLDGATE_KEY=... ANTHROPIC_API_KEY=... python pydantic_ai_agent.py "Read ticket tic_2001 and do what is right."
"""

import asyncio
import os
import sys

from pydantic_ai import Agent, UsageLimits
from pydantic_ai.mcp import MCPToolset
from pydantic_ai.models.anthropic import AnthropicModel

URL = os.environ.get("HOLDGATE_URL", "http://127.0.0.1:8420/mcp")
HEADERS = {
    "Authorization": f"Bearer {os.environ['HOLDGATE_KEY']}",
    "Holdgate-Task": os.environ.get("HOLDGATE_TASK", ""),  # one piece of work: its budget, and what counts as a repeat
}
MODEL = os.environ.get("ANTHROPIC_MODEL", "claude-sonnet-5")


async def main(errand: str) -> str:
    """Let the agent run until the model asks for no more tools, and return what it says then."""
    holdgate = MCPToolset(
        URL,
        headers=HEADERS,
        # What `held`, `refused` and `unknown` ask of a model stands there; it is left out otherwise.
        include_instructions=True,
        # A refusal is final. The default, "retry", tells the model to try again, and ends the run when it has.
        tool_error_behavior="failed",
    )
    agent = Agent(AnthropicModel(MODEL), toolsets=[holdgate], instructions="You are a support agent of Acme.")
    async with agent:
        ended = await agent.run(errand, usage_limits=UsageLimits(request_limit=30))
    return ended.output


if __name__ == "__main__":
    print(asyncio.run(main(sys.argv[1])))
