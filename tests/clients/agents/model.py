"""A scripted model behind a local endpoint: it makes the calls it is told to, and keeps what it was shown."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.clients.agents.dialects import JSON, Call, Dialect
from tests.clients.story import Step


class Model:
    """The mind of an agent for one run.

    Args:
        steps: what it does, one call after the other.
        before: what happens in the world before it makes the call of a step; is given what it was shown so far.

    Attributes:
        offered: the tools it was told of, by the gateway's names.
        shown: by step, what it was shown for the call.
    """

    def __init__(
        self,
        dialect: Dialect,
        steps: Sequence[Step],
        before: Mapping[str, Callable[[Mapping[str, str]], object]] | None = None,
    ) -> None:
        self._dialect = dialect
        self._steps = [*dialect.opening, *steps]
        self._before = before or {}
        self.url = ""
        self.offered: dict[str, JSON] = {}
        self.shown: dict[str, str] = {}

    def hear(self, body: JSON) -> Iterator[bytes]:
        """The next move after a request. Agents ask a model small things as well, without tools: those get a word."""
        shown = self._dialect.shown(body)
        offered = self._dialect.offered(body, shown)
        if offered is None:
            return self._dialect.answer("Yes.")
        self.offered = offered
        self.shown = {step["name"]: text for step, text in zip(self._steps, shown, strict=False)}
        if len(shown) >= len(self._steps):
            return self._dialect.answer("That is all.")
        step = self._steps[len(shown)]
        if step["name"] in self._before:
            self._before[step["name"]](self.shown)
        arguments = {name: self._recalled(value) for name, value in step["arguments"].items()}
        return self._dialect.answer(Call(f"call_{step['name']}", step["tool"], arguments))

    def _recalled(self, value: Any) -> Any:
        """`$NAME` is the action_id that the model has read in what it was shown for that step."""
        if isinstance(value, list):
            return [self._recalled(item) for item in value]
        if isinstance(value, str) and value.startswith("$"):
            return self._dialect.envelope(self.shown[value[1:]])["action_id"]
        return value


@contextmanager
def thinking(model: Model) -> Iterator[Model]:
    """The model, answering at `model.url` until the end of the block."""

    faults: list[Exception] = []

    class Endpoint(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            try:
                events = b"".join(model.hear(body))
            except Exception as fault:
                faults.append(fault)
                raise
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("content-length", str(len(events)))
            self.end_headers()
            self.wfile.write(events)

        def do_GET(self) -> None:
            self.send_error(404)

        do_HEAD = do_GET

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing: what was asked is in the model."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Endpoint)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        model.url = f"http://127.0.0.1:{server.server_port}"
        yield model
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    if faults:
        raise faults[0]
