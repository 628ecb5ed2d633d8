"""Three model APIs as an agent hears them, each as server-sent events: Anthropic, OpenAI and Gemini.

A dialect reads from a request which tools the model was offered and what it was shown for its earlier calls, and says
the model's next move: one call, or a last word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from tests.clients.story import Step

JSON = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """A call of one of the gateway's tools, by the name that the gateway gave it."""

    id: str
    tool: str
    arguments: Mapping[str, Any]


class Dialect(Protocol):
    """One model API."""

    opening: tuple[Step, ...]
    """What the model has to do first, to learn of the tools."""

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        """What the model is told of the gateway's tools, by their own names; None when it is asked something else."""
        ...

    def shown(self, body: JSON) -> list[str]:
        """What the model is shown for each call it has made, in order."""
        ...

    def answer(self, move: Call | str) -> Iterator[bytes]:
        """The model's next move, as the events of a stream."""
        ...

    def envelope(self, shown: str) -> JSON:
        """The gateway's envelope in what a model was shown, in the shape that this agent gives it."""
        ...


class Anthropic:
    """`POST /v1/messages`."""

    PREFIX = "mcp__holdgate__"
    opening: tuple[Step, ...] = ()

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        return _without(self.PREFIX, ((tool["name"], tool) for tool in body.get("tools", ()))) or None

    def shown(self, body: JSON) -> list[str]:
        blocks = [block for message in body["messages"] for block in message["content"] if isinstance(block, dict)]
        return [_text(block["content"]) for block in blocks if block.get("type") == "tool_result"]

    def answer(self, move: Call | str) -> Iterator[bytes]:
        usage = {"input_tokens": 1, "output_tokens": 1}
        start = {"id": "msg_1", "type": "message", "role": "assistant", "model": "scripted", "content": []}
        yield _named("message_start", message={**start, "stop_reason": None, "stop_sequence": None, "usage": usage})
        block: JSON = {"type": "text", "text": ""}
        delta: JSON = {"type": "text_delta", "text": move}
        if isinstance(move, Call):
            name, arguments = self._block(move)
            block = {"type": "tool_use", "id": move.id, "name": name, "input": {}}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(arguments)}
        yield _named("content_block_start", index=0, content_block=block)
        yield _named("content_block_delta", index=0, delta=delta)
        yield _named("content_block_stop", index=0)
        reason = "tool_use" if isinstance(move, Call) else "end_turn"
        yield _named("message_delta", delta={"stop_reason": reason, "stop_sequence": None}, usage=usage)
        yield _named("message_stop")

    def envelope(self, shown: str) -> JSON:
        return _object(shown)

    def _block(self, move: Call) -> tuple[str, JSON]:
        return self.PREFIX + move.tool, dict(move.arguments)


class AnthropicSearch(Anthropic):
    """The same for a model that is told the names of the tools alone, and looks up those that it means to call."""

    LOOKED_UP = ("billing_lookup_invoice", "billing_refund", "get_action", "list_my_actions")
    opening = ({"name": "tools", "tool": "ToolSearch", "arguments": {}},)

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        if not any(tool["name"] == "ToolSearch" for tool in body.get("tools", ())):
            return None
        told = [message for message in body["messages"] if message["role"] != "assistant"]
        named = re.findall(rf"{self.PREFIX}(\w+)", json.dumps(told))
        return {name: {} for name in named}

    def _block(self, move: Call) -> tuple[str, JSON]:
        if move.tool != "ToolSearch":
            return super()._block(move)
        return move.tool, {"query": "select:" + ",".join(self.PREFIX + tool for tool in self.LOOKED_UP)}


class OpenAI:
    """`POST /v1/responses`."""

    NAMESPACE = "mcp__holdgate"
    opening: tuple[Step, ...] = ()

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        spaces = [entry for entry in body.get("tools", ()) if entry.get("name") == self.NAMESPACE]
        return {tool["name"]: tool for entry in spaces for tool in entry["tools"]} or None

    def shown(self, body: JSON) -> list[str]:
        outputs = [item for item in body["input"] if item.get("type") == "function_call_output"]
        return [_text(item["output"]) for item in outputs]

    def answer(self, move: Call | str) -> Iterator[bytes]:
        response: JSON = {"id": "resp_1", "object": "response", "status": "in_progress", "output": []}
        yield _named("response.created", response=response)
        item: JSON = {"type": "message", "id": "msg_1", "role": "assistant"}
        if isinstance(move, Call):
            item = {"id": f"fc_{move.id}", "call_id": move.id, **self._item(move)}
        else:
            item |= {"content": [{"type": "output_text", "text": move}]}
        yield _named("response.output_item.done", output_index=0, item=item)
        usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
        yield _named("response.completed", response={**response, "status": "completed", "usage": usage})

    def envelope(self, shown: str) -> JSON:
        return _object(_output(shown))

    def _item(self, move: Call) -> JSON:
        arguments = json.dumps(move.arguments)
        return {"type": "function_call", "namespace": self.NAMESPACE, "name": move.tool, "arguments": arguments}


class OpenAICode(OpenAI):
    """The same for a model that writes code: it has one tool, which runs JavaScript that calls the gateway's."""

    PREFIX = "mcp__holdgate__"
    opening = ({"name": "tools", "tool": "ALL_TOOLS", "arguments": {}},)

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        if not any(item.get("type") == "additional_tools" for item in body["input"]):
            return None
        return {name: {} for name in _output(shown[0]).split()} if shown else {}

    def shown(self, body: JSON) -> list[str]:
        outputs = [item for item in body["input"] if item.get("type") == "custom_tool_call_output"]
        return [_text(item["output"]) for item in outputs]

    def envelope(self, shown: str) -> JSON:
        result = _object(_output(shown))
        assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
        envelope: JSON = result["structuredContent"]
        return envelope

    def _item(self, move: Call) -> JSON:
        call = f"tools.{self.PREFIX}{move.tool}({json.dumps(move.arguments)})"
        if move.tool == "ALL_TOOLS":
            # Codex cuts what is longer than 10,000 tokens.
            names = f"map(({{ name }}) => name).filter((name) => name.startsWith('{self.PREFIX}'))"
            call = f"ALL_TOOLS.{names}.map((name) => name.slice({len(self.PREFIX)})).join(' ')"
        return {"type": "custom_tool_call", "name": "exec", "namespace": "functions", "input": f"text(await {call});"}


class Gemini:
    """`POST /v1beta/models/MODEL:streamGenerateContent?alt=sse`."""

    PREFIX = "mcp_holdgate_"
    opening = ()

    def offered(self, body: JSON, shown: list[str]) -> dict[str, JSON] | None:
        declared = (tool for entry in body.get("tools", ()) for tool in entry.get("functionDeclarations", ()))
        return _without(self.PREFIX, ((tool["name"], tool) for tool in declared)) or None

    def shown(self, body: JSON) -> list[str]:
        parts = [part for content in body["contents"] for part in content["parts"]]
        return [_text(part["functionResponse"]["response"]) for part in parts if "functionResponse" in part]

    def answer(self, move: Call | str) -> Iterator[bytes]:
        part: JSON = {"text": move}
        if isinstance(move, Call):
            part = {"functionCall": {"name": self.PREFIX + move.tool, "args": dict(move.arguments)}}
            part |= {"thoughtSignature": "c2NyaXB0ZWQ="}
        candidate = {"content": {"role": "model", "parts": [part]}, "finishReason": "STOP", "index": 0}
        usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
        yield f"data: {json.dumps({'candidates': [candidate], 'usageMetadata': usage})}\n\n".encode()

    def envelope(self, shown: str) -> JSON:
        response = json.loads(shown)
        if "output" in response:
            return _object(
                response["output"].removeprefix("<untrusted_context>\n").removesuffix("\n</untrusted_context>")
            )
        _, _, parts = response["error"].partition(" with response: ")
        return _object(json.loads(parts)[0]["functionResponse"]["response"]["content"][0]["text"])


def _named(event: str, **members: Any) -> bytes:
    return f"event: {event}\ndata: {json.dumps({'type': event, **members})}\n\n".encode()


def _without(prefix: str, tools: Iterable[tuple[str, JSON]]) -> dict[str, JSON]:
    return {name.removeprefix(prefix): tool for name, tool in tools if name.startswith(prefix)}


def _output(shown: str) -> str:
    """What Codex puts after its own words about a call."""
    return shown.partition("Output:\n")[2].strip()


def _object(text: str) -> JSON:
    value: JSON = json.loads(text)
    return value


def _text(shown: Any) -> str:
    """What a model reads of a block, a list of blocks, or a bare value."""
    if isinstance(shown, str):
        return shown
    if isinstance(shown, list):
        return "\n".join(block["text"] if "text" in block else json.dumps(block) for block in shown)
    return json.dumps(shown)
