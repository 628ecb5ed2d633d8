"""A gateway as a process of its own, over a place; `tests.house` has one in the test's own event loop."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import httpx

from gateway.testing.driver import PATIENCE
from tests.place import ROOT, Place
from tests.services import eventually

Answer = dict[str, Any]


class Gate:
    """A gateway process over a place: it can be killed and started again."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.log = place.folder / "gate.log"
        self.url = ""
        self.process: subprocess.Popen[str] | None = None
        self._http = httpx.Client(trust_env=False, timeout=PATIENCE, limits=httpx.Limits(max_connections=200))

    def start(self, **environment: str) -> Gate:
        """Start it, and return once it answers."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(
                [*self.place.holdgate, "serve", "--json"],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                env={**os.environ, **environment},
            )
        assert self.process.stdout is not None
        ready = self.process.stdout.readline()
        if not ready:
            self._reap()
        assert ready, f"the gateway did not start:\n{self.log.read_text()[-2000:]}"
        self.url = json.loads(ready)["url"]
        return self

    def kill9(self) -> None:
        """End it as a power failure would."""
        assert self.process is not None
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """End it in order."""
        assert self.process is not None
        self.process.terminate()
        return self._reap()

    def restart(self) -> Gate:
        """Kill it, and start it again on the same folder and port."""
        self.kill9()
        return self.start()

    def call(self, tool: str, args: Mapping[str, Any], *, as_: str = "bot", **control: Any) -> Answer:
        """One call over the modern wire; `control` as for `request`. Protocol errors come as `{"error": ...}`."""
        headers, body = request(tool, args, key=self.place.keys[as_], **control)
        return envelope(self._http.post(self.url, headers=headers, content=body))

    def ask(self, method: str, params: Mapping[str, Any], *, name: str | None = None, as_: str = "bot") -> Answer:
        """One request of any method over the modern wire, and the message that answers it; `name` as in `message`."""
        return self.post(*message(method, params, name=name, key=self.place.keys[as_]))

    def post(self, headers: Mapping[str, str], body: bytes) -> Answer:
        """One message over the wire, and the message that answers it."""
        answer: Answer = self._http.post(self.url, headers=dict(headers), content=body).json()
        return answer

    def settled(self, action_id: str, as_: str = "bot") -> Answer:
        """The action's answer, once it is neither held nor running nor unknown."""

        def ended() -> Answer | None:
            answer = self.call("get_action", {"action_id": action_id, "wait_seconds": 2}, as_=as_)
            return answer if answer["status"] not in ("held", "running", "unknown") else None

        answer = eventually(ended, f"{action_id} to end")
        assert answer is not None
        return answer

    def close(self) -> None:
        """End it, however it is doing."""
        self._http.close()
        if self.process is not None and self.process.poll() is None:
            self.kill9()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        code = self.process.wait(PATIENCE)
        self.process.stdout.close()
        return code


def request(
    tool: str,
    args: Mapping[str, Any],
    *,
    key: str,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one call in the modern era."""
    params = {"name": tool, "arguments": dict(args)}
    return message("tools/call", params, name=tool, key=key, meta=meta, headers=headers)


def message(
    method: str,
    params: Mapping[str, Any],
    *,
    name: str | None,
    key: str,
    meta: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> tuple[dict[str, str], bytes]:
    """Headers and body of one request in the modern era; `name` is the tool, prompt or URI that it is about."""
    sent = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "proving-ground", "version": "1"},
        **(meta or {}),
    }
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": {**params, "_meta": sent}}).encode()
    return {
        "authorization": f"Bearer {key}",
        "content-type": "application/json",
        "accept": "application/json, text/event-stream",
        "mcp-protocol-version": "2026-07-28",
        "mcp-method": method,
        **({"mcp-name": name} if name is not None else {}),
        **(headers or {}),
    }, body


def envelope(response: httpx.Response) -> Answer:
    """The envelope in an HTTP answer, or the protocol's error."""
    message: dict[str, Any] = response.json()
    if "result" not in message:
        return {"error": message["error"], "http": response.status_code}
    answer: Answer = message["result"]["structuredContent"]
    return answer


@contextmanager
def gate(place: Place, **environment: str) -> Iterator[Gate]:
    """A gateway process over `place` until the end of the block."""
    running = Gate(place)
    try:
        yield running.start(**environment)
    finally:
        running.close()
