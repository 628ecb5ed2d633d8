"""Metrics: what there is to count, and a function for each fact, called where the fact is born.

`METRICS` is the whole list; docs/metrics.md tells it to operators, under the names that Prometheus gives them. Each
attribute is one of few: a code, a state, a name out of the catalogue or out of a policy file, never one of a caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from opentelemetry.metrics import Counter, Histogram, Meter
from opentelemetry.metrics import _Gauge as Gauge  # the API exports it under this name

from gateway.decision import BudgetCharge, Decision
from gateway.model import Action
from gateway.outcome import Outcome

UNKNOWN_TOOL: Final = "unknown"
"""What every name counts as that is in no catalogue."""

_MCP_SECONDS: Final = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
_HTTP_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)
_VAULT_SECONDS: Final = (0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5)
_SHARES: Final = (0.1, 0.25, 0.5, 0.75, 0.9, 1)

_TOOL: Final = "gen_ai.tool.name"

Value = str | int


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric, as OpenTelemetry names it."""

    name: str
    kind: Literal["counter", "histogram", "gauge"]
    unit: str
    about: str
    buckets: tuple[float, ...] = ()


METRICS: Final = (
    Metric("mcp.server.operation.duration", "histogram", "s", "MCP requests and notifications.", _MCP_SECONDS),
    Metric("http.client.request.duration", "histogram", "s", "Requests to systems of record.", _HTTP_SECONDS),
    Metric("holdgate.calls", "counter", "{call}", "Answers to tool calls, by status."),
    Metric("holdgate.decisions", "counter", "{decision}", "What policy said of calls."),
    Metric("holdgate.rules", "counter", "{rule}", "Rules that made a decision what it was, by what they said."),
    Metric("holdgate.refusals", "counter", "{call}", "Calls refused, by code."),
    Metric("holdgate.replays", "counter", "{call}", "Calls answered from an earlier one, by the source of their key."),
    Metric("holdgate.unknowns", "counter", "{action}", "Writes whose outcome became unknown."),
    Metric("holdgate.upstream.errors", "counter", "{error}", "Failed requests to systems of record, by class."),
    Metric("holdgate.credential.lease.duration", "histogram", "s", "Leases of credentials.", _VAULT_SECONDS),
    Metric("holdgate.budget.use", "histogram", "1", "How much of a budget is used after a charge.", _SHARES),
    Metric("holdgate.ledger.lines", "counter", "{line}", "Ledger lines, of all processes, since this one started."),
    Metric("holdgate.holds.waiting", "gauge", "{hold}", "Holds that wait for a vote, or for their execution."),
    Metric("holdgate.holds.oldest.age", "gauge", "s", "Since the oldest of them was asked."),
    Metric("holdgate.unknowns.open", "gauge", "{action}", "Writes whose outcome is unknown now."),
    Metric("holdgate.unknowns.oldest.age", "gauge", "s", "Since the oldest of them was received."),
    Metric("holdgate.writer.queue.depth", "gauge", "{transaction}", "Transactions that wait for the store's writer."),
)
"""Everything that is counted."""


class _Instruments:
    """The metrics of one meter, ready to be recorded."""

    def __init__(self, meter: Meter) -> None:
        self._counters: dict[str, Counter] = {}
        self._histograms: dict[str, Histogram] = {}
        self._gauges: dict[str, Gauge] = {}
        for metric in METRICS:
            match metric.kind:
                case "counter":
                    self._counters[metric.name] = meter.create_counter(metric.name, metric.unit, metric.about)
                case "gauge":
                    self._gauges[metric.name] = meter.create_gauge(metric.name, metric.unit, metric.about)
                case "histogram":
                    self._histograms[metric.name] = meter.create_histogram(
                        metric.name, metric.unit, metric.about, explicit_bucket_boundaries_advisory=metric.buckets
                    )

    def count(self, name: str, attributes: Mapping[str, Value], by: int = 1) -> None:
        self._counters[name].add(by, attributes)

    def measure(self, name: str, value: float, attributes: Mapping[str, Value]) -> None:
        self._histograms[name].record(value, attributes)

    def set(self, name: str, value: float, attributes: Mapping[str, Value]) -> None:
        self._gauges[name].set(value, attributes)


_live: _Instruments | None = None


def use(meter: Meter | None) -> None:
    """Record with `meter` from now on; None: record nothing."""
    global _live
    _live = _Instruments(meter) if meter is not None else None


def on() -> bool:
    """Whether anything is recorded: for what would have to be found out first."""
    return _live is not None


# -- the way of a call


def answered(tool: str, outcome: Outcome) -> None:
    """A call of a tool that there is has its answer."""
    if _live is not None:
        _live.count("holdgate.calls", {_TOOL: tool, "holdgate.status": str(outcome.status)})


def decided(action: Action, decision: Decision) -> None:
    """Policy has decided."""
    if _live is not None:
        _live.count("holdgate.decisions", {_TOOL: action.tool.name, "holdgate.verdict": str(decision.verdict)})
        for rule in decision.rules:
            _live.count("holdgate.rules", {"holdgate.rule": rule.id, "holdgate.verdict": str(rule.verdict)})


def refused(tool: str | None, code: str) -> None:
    """A call was refused; `tool` only where it is in the catalogue."""
    if _live is not None:
        _live.count("holdgate.refusals", {_TOOL: tool or UNKNOWN_TOOL, "holdgate.code": code})


def replayed(action: Action) -> None:
    """A call was answered from an earlier one."""
    if _live is not None:
        source = action.key.source if action.key else "none"
        _live.count("holdgate.replays", {_TOOL: action.tool.name, "holdgate.key.source": source})


def became_unknown(tool: str, how: Literal["unanswered", "orphaned"]) -> None:
    """Nobody knows whether a write happened: the upstream did not say, or its process or lease ended."""
    if _live is not None:
        _live.count("holdgate.unknowns", {_TOOL: tool, "holdgate.how": how})


def charged(action: Action, charge: BudgetCharge, used: int) -> None:
    """A budget was charged, and `used` of it is used now. Whose budget it is, is not told: owners are too many."""
    if _live is not None and charge.limit > 0:
        window = "task" if charge.window is None else f"{charge.window}s"
        attributes = {_TOOL: action.tool.name, "holdgate.unit": charge.unit, "holdgate.window": window}
        _live.measure("holdgate.budget.use", used / charge.limit, attributes)


# -- the outside


def served(seconds: float, attributes: Mapping[str, Value]) -> None:
    """An MCP request was served."""
    if _live is not None:
        _live.measure("mcp.server.operation.duration", seconds, attributes)


def requested(seconds: float, attributes: Mapping[str, Value]) -> None:
    """A system of record was asked."""
    if _live is not None:
        _live.measure("http.client.request.duration", seconds, attributes)


def upstream_failed(connector: str, code: str) -> None:
    """A request to a system of record failed."""
    if _live is not None:
        _live.count("holdgate.upstream.errors", {"holdgate.connector": connector, "holdgate.code": code})


def leased(connector: str, seconds: float, *, lent: bool) -> None:
    """The vault was asked for a credential."""
    if _live is not None:
        result = "lent" if lent else "refused"
        attributes = {"holdgate.connector": connector, "holdgate.result": result}
        _live.measure("holdgate.credential.lease.duration", seconds, attributes)


# -- how things stand


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait in one state, and for how long the oldest has. Seconds."""

    state: str
    count: int
    oldest: float


def waiting(holds: Iterable[Waiting], unknown: Waiting, queued: int) -> None:
    """What waits now: holds by state, unknown outcomes, and transactions before the writer."""
    if _live is not None:
        for hold in holds:
            _live.set("holdgate.holds.waiting", hold.count, {"holdgate.state": hold.state})
            _live.set("holdgate.holds.oldest.age", hold.oldest, {"holdgate.state": hold.state})
        _live.set("holdgate.unknowns.open", unknown.count, {})
        _live.set("holdgate.unknowns.oldest.age", unknown.oldest, {})
        _live.set("holdgate.writer.queue.depth", queued, {})


def wrote_lines(event: str, lines: int) -> None:
    """So many new ledger lines of one event."""
    if _live is not None:
        _live.count("holdgate.ledger.lines", {"holdgate.event": event}, lines)
