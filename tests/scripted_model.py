"""A local endpoint that plays the model from a script: `POST /v1/messages`, as far as tool loops need it."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Request = dict[str, Any]
Block = dict[str, Any]


@contextmanager
def model(speak: Callable[[Request], Block] | None) -> Iterator[tuple[str, list[Request]]]:
    """A local `POST /v1/messages`, and what it was asked; without a script it refuses every key."""
    requests: list[Request] = []

    class Messages(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            requests.append(asked)
            if speak is None:
                self._send(401, {"type": "error", "error": {"type": "authentication_error", "message": "invalid key"}})
                return
            block = speak(asked)
            reason = "tool_use" if block["type"] == "tool_use" else "end_turn"
            usage = {"input_tokens": 1, "output_tokens": 1}
            answer = {"id": "msg_1", "type": "message", "role": "assistant", "model": asked["model"], "usage": usage}
            if asked.get("stream"):
                self._stream(answer, block, reason)
            else:
                self._send(200, {**answer, "content": [block], "stop_reason": reason})

        def _stream(self, answer: dict[str, Any], block: Block, reason: str) -> None:
            called = block["type"] == "tool_use"
            empty = {**block, "input": {}} if called else {**block, "text": ""}
            delta = {"type": "input_json_delta", "partial_json": json.dumps(block["input"])} if called else {}
            events: list[dict[str, Any]] = [
                {"type": "message_start", "message": {**answer, "content": [], "stop_reason": None}},
                {"type": "content_block_start", "index": 0, "content_block": empty},
                {
                    "type": "content_block_delta",
                    "index": 0,
                    "delta": delta or {"type": "text_delta", "text": block["text"]},
                },
                {"type": "content_block_stop", "index": 0},
                {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": answer["usage"]},
                {"type": "message_stop"},
            ]
            self._write(
                200, "text/event-stream", "".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n" for e in events)
            )

        def _send(self, status: int, content: dict[str, Any]) -> None:
            self._write(status, "application/json", json.dumps(content))

        def _write(self, status: int, kind: str, content: str) -> None:
            body = content.encode()
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Messages) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", requests
        finally:
            server.shutdown()
            thread.join()


def use(tool: str, arguments: dict[str, Any]) -> Block:
    """The model wants a tool called."""
    return {"type": "tool_use", "id": f"toolu_{os.urandom(4).hex()}", "name": tool, "input": arguments}


def tool_results(asked: Request) -> list[Block]:
    """What the tools answered so far, oldest first."""
    contents = (message["content"] for message in asked["messages"] if message["role"] == "user")
    blocks = [block for content in contents if not isinstance(content, str) for block in content]
    return [block for block in blocks if block["type"] == "tool_result"]
