"""One request seen from outside and from inside: its span and its duration, under the names of the conventions."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, Literal
from urllib.parse import urlsplit

from gateway.telemetry import metrics, spans

_METHODS: Final = frozenset(
    {
        *("initialize", "ping", "server/discover", "subscriptions/listen", "completion/complete", "logging/setLevel"),
        *("tools/list", "tools/call", "prompts/list", "prompts/get"),
        *("resources/list", "resources/read", "resources/templates/list"),
        *("resources/subscribe", "resources/unsubscribe"),
        *("notifications/initialized", "notifications/cancelled", "notifications/progress"),
        *("notifications/roots/list_changed",),
    }
)
_OTHER: Final = "_OTHER"
"""What the conventions call a value that is not among the known ones."""
_LONGEST_ID: Final = 64


@dataclass(frozen=True, slots=True)
class Operation:
    """An MCP request or notification, as it arrived."""

    method: str
    tool: str | None
    """For `tools/call`: the tool's name where it is in the catalogue, else `unknown`."""
    version: str
    transport: Literal["tcp", "pipe"]
    request_id: str | int | None
    client: str | None
    """Its address."""
    meta: Mapping[str, Any]
    headers: Mapping[str, str]


class Observed:
    """What is known of a request by its end."""

    __slots__ = ("error", "status")

    def __init__(self) -> None:
        self.error: str | None = None
        """The kind of failure, of a bounded set; None: it went well."""
        self.status: int | None = None
        """Of an HTTP answer."""

    def ended(self, status: int | None, error: str | None) -> None:
        """An HTTP request has come to its end: with an answer of this status, or with an error, or both."""
        self.status = status
        self.error = error or (str(status) if status is not None and status >= 400 else None)


UNOBSERVED: Final = nullcontext(Observed())
"""For a request that nobody looks at. What is said of it is the same for all of them, and read by none."""


def observing() -> bool:
    """Whether anybody looks at what is observed here."""
    return metrics.on() or spans.on()


@contextmanager
def serving(operation: Operation) -> Iterator[Observed]:
    """Observe an MCP request while it is served."""
    method = operation.method if operation.method in _METHODS else _OTHER
    attributes: dict[str, str | int] = {
        "mcp.method.name": method,
        "mcp.protocol.version": operation.version,
        "network.transport": operation.transport,
    }
    if operation.tool is not None:
        attributes |= {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": operation.tool}
    alone: dict[str, str | int] = {}
    if operation.request_id is not None:
        shown = str(operation.request_id)[:_LONGEST_ID]
        alone["jsonrpc.request.id"] = "".join(character for character in shown if character.isprintable())
    if operation.client is not None:
        alone["client.address"] = operation.client
    name = f"{method} {operation.tool}" if operation.tool is not None else method
    observed, started = Observed(), time.perf_counter()
    with spans.server_span(name, attributes | alone, meta=operation.meta, headers=operation.headers) as span:
        try:
            yield observed
        except Exception as broken:
            observed.error = observed.error or type(broken).__qualname__
            raise
        finally:
            spans.end(span, {}, observed.error)
            failed = {"error.type": observed.error} if observed.error is not None else {}
            metrics.served(time.perf_counter() - started, attributes | failed)


def asking(method: str, url: str) -> AbstractContextManager[Observed]:
    """Observe a request to a system of record. Of its URL only host and port are told: the rest may hold arguments."""
    return _asking(method, url) if observing() else UNOBSERVED


@contextmanager
def _asking(method: str, url: str) -> Iterator[Observed]:
    parts = urlsplit(url)
    attributes: dict[str, str | int] = {
        "http.request.method": method,
        "server.address": parts.hostname or "",
        "server.port": parts.port or (443 if parts.scheme == "https" else 80),
    }
    observed, started = Observed(), time.perf_counter()
    with spans.client_span(method, attributes) as span:
        try:
            yield observed
        finally:
            result: dict[str, str | int] = {}
            if observed.status is not None:
                result["http.response.status_code"] = observed.status
            elif observed.error is None:
                observed.error = "cancelled"
            spans.end(span, result, observed.error)
            if observed.error is not None:
                result["error.type"] = observed.error
            metrics.requested(time.perf_counter() - started, attributes | result)


def leasing(connector: str | None) -> AbstractContextManager[None]:
    """Observe how long the vault takes to lend a connector its credential; None: it needs none."""
    return _leasing(connector) if connector is not None and metrics.on() else nullcontext()


@contextmanager
def _leasing(connector: str) -> Iterator[None]:
    started, lent = time.perf_counter(), False
    try:
        yield
        lent = True
    finally:
        metrics.leased(connector, time.perf_counter() - started, lent=lent)
