"""Tools that ask, and both ways to call them: over the modern wire, bare, and straight into the gateway."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.model import Call
from gateway.outcome import Outcome
from tests.gate import Gate, message
from tests.house import House
from tests.place import policy

EVERYTHING = {"elicitation": {}, "sampling": {}, "roots": {}}
TOOLS = ("invoice", "twice", "endless", "deaf", "leak", "before_paying", "after_paying")
ANSWERED = {"which": {"action": "accept", "content": {"invoice": "inv_1001"}}}


def granting(tools: Mapping[str, Any] | None = None, **more: Any) -> str:
    """A policy that lets the agents call the tools that ask."""
    return policy({f"ask_{name}": "allow" for name in TOOLS} | dict(tools or {}), **more)


def asked(
    gateway: Gate,
    tool: str = "ask_invoice",
    args: Mapping[str, Any] | None = None,
    *,
    as_: str = "bot",
    can: Mapping[str, Any] | None = None,
    **more: Any,
) -> dict[str, Any]:
    """One message of a client that can do everything: the result, or `{"error": ...}`."""
    meta = {"io.modelcontextprotocol/clientCapabilities": EVERYTHING if can is None else can}
    params = {"name": tool, "arguments": dict(args or {}), **more}
    headers, body = message("tools/call", params, name=tool, key=gateway.place.keys[as_], meta=meta)
    answer = gateway.post(headers, body)
    return answer.get("result") or {"error": answer["error"]}


def told(result: Mapping[str, Any]) -> dict[str, Any]:
    """The envelope of a complete result."""
    assert result["resultType"] == "complete", result
    envelope: dict[str, Any] = result["structuredContent"]
    return envelope


class Present:
    """A client that can be asked anything."""

    can = frozenset(EVERYTHING)

    def progress(self, done: float, total: float | None, message: str) -> None: ...

    def tell(self, level: str, tool: str, message: str) -> None: ...


async def put(
    gateway: House,
    tool: str = "ask_invoice",
    args: Mapping[str, Any] | None = None,
    *,
    after: str | None = None,
    answers: Mapping[str, Any] | None = None,
    as_: str = "bot",
) -> Outcome:
    """One call straight into the gateway, perhaps as the answer to the action `after`."""
    principal = await gateway.app.api_keys.authenticate(gateway.place.keys[as_])
    assert principal is not None
    call = Call(principal, tool, dict(args or {}), client=Present(), continues=after, answers=answers or {})
    return await gateway.app.handle(call)
