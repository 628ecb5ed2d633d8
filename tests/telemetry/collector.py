"""The two ends of telemetry, as real ones: an OTLP/HTTP receiver, and a reader of what Prometheus would scrape."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from prometheus_client.parser import text_string_to_metric_families

from tests.gate import Gate
from tests.services import eventually


@dataclass(frozen=True)
class Span:
    """One span as it arrived."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    links: tuple[str, ...]
    attributes: dict[str, Any]
    events: int


@dataclass
class Collector:
    """What was received so far."""

    url: str = ""
    bodies: list[bytes] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list)
    metrics: set[str] = field(default_factory=set)

    def receive(self, path: str, body: bytes) -> None:
        """One export."""
        self.bodies.append(body)
        if path == "/v1/traces":
            request = ExportTraceServiceRequest.FromString(body)
            groups = [scope.spans for resource in request.resource_spans for scope in resource.scope_spans]
            self.spans += [_span(span) for group in groups for span in group]
        else:
            exported = ExportMetricsServiceRequest.FromString(body)
            groups = [scope.metrics for resource in exported.resource_metrics for scope in resource.scope_metrics]
            self.metrics |= {metric.name for group in groups for metric in group}

    def span(self, name: str, **attributes: Any) -> Span:
        """The first span of that name and those attributes (_ for .), once it has arrived."""
        wanted = {key.replace("__", "."): value for key, value in attributes.items()}

        def arrived() -> Span | None:
            spans = (span for span in list(self.spans) if span.name == name)
            return next((span for span in spans if wanted.items() <= span.attributes.items()), None)

        found = eventually(arrived, f"a span {name} {wanted}")
        assert found is not None
        return found

    def children(self, span: Span) -> set[str]:
        """The names of the spans that arrived below one."""
        return {other.name for other in list(self.spans) if other.parent == span.id}


def _span(span: Any) -> Span:
    attributes = {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}
    links = tuple(link.span_id.hex() for link in span.links)
    return Span(
        name=span.name,
        kind=span.kind,
        trace=span.trace_id.hex(),
        id=span.span_id.hex(),
        parent=span.parent_span_id.hex(),
        links=links,
        attributes=attributes,
        events=len(span.events),
    )


@contextmanager
def collecting() -> Iterator[Collector]:
    """A receiver on loopback until the end of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.receive(self.path, self.rfile.read(int(self.headers["content-length"])))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@dataclass(frozen=True)
class Scrape:
    """One answer of the port for Prometheus."""

    families: dict[str, str]
    """Name as in queries to type."""
    samples: list[tuple[str, dict[str, str], float]]

    def value(self, sample: str, **labels: str) -> float:
        """The sum of a sample's values under these labels; 0 where there are none."""
        return sum(value for name, said, value in self.samples if name == sample and labels.items() <= said.items())


def scrape(gate: Gate) -> Scrape:
    """What the gateway's port for Prometheus says now."""
    prometheus = gate.place.home.settings.telemetry.prometheus
    assert prometheus is not None
    answer = httpx.get(f"http://{prometheus.host}:{prometheus.port}/metrics", trust_env=False).raise_for_status()
    families = list(text_string_to_metric_families(answer.text))
    samples = [(sample.name, dict(sample.labels), sample.value) for family in families for sample in family.samples]
    return Scrape({family.name: family.type for family in families}, samples)
