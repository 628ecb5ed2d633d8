"""Where traces and metrics go: Prometheus text on a port of its own, and OTLP over HTTP; nowhere by default.

OpenTelemetry's own variables hold for what is not set here: `OTEL_EXPORTER_OTLP_HEADERS`, `OTEL_TRACES_SAMPLER`,
`OTEL_METRIC_EXPORT_INTERVAL`, `OTEL_RESOURCE_ATTRIBUTES`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final
from uuid import uuid4

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from prometheus_client import CollectorRegistry, start_http_server

from gateway import __version__
from gateway.errors import StartupError
from gateway.telemetry import metrics, spans

_SEND_SECONDS: Final = 3.0
"""For one attempt to hand something to the collector; one that is away must not keep the gateway from stopping."""
_FLUSH_MS: Final = 3_000


@contextmanager
def exporting(*, prometheus: tuple[str, int] | None, otlp: str | None, file: str) -> Iterator[None]:
    """Record and export until the end of the block.

    Args:
        prometheus: host and port to answer scrapes on.
        otlp: base URL of a collector, to which `/v1/traces` and `/v1/metrics` are added.
        file: the settings file, to be named when something cannot be done.

    Raises:
        StartupError: the port is taken.
    """
    resource = Resource.create(
        {"service.name": "holdgate", "service.version": __version__, "service.instance.id": str(uuid4())}
    )
    with ExitStack() as until_end:
        readers: list[MetricReader] = []
        if prometheus is not None:
            registry = CollectorRegistry()
            readers.append(PrometheusMetricReader(scope_info_enabled=False, registry=registry))
            until_end.callback(_scraped(*prometheus, registry, file))
        if otlp is not None:
            base = otlp.rstrip("/")
            readers.append(
                PeriodicExportingMetricReader(
                    OTLPMetricExporter(endpoint=f"{base}/v1/metrics", timeout=_SEND_SECONDS),
                    export_timeout_millis=_FLUSH_MS,
                )
            )
            tracers = TracerProvider(resource=resource, shutdown_on_exit=False)
            tracers.add_span_processor(
                BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{base}/v1/traces", timeout=_SEND_SECONDS))
            )
            until_end.callback(tracers.shutdown)
            spans.use(tracers.get_tracer("holdgate", __version__))
            until_end.callback(spans.use, None)
        if readers:
            meters = MeterProvider(readers, resource, shutdown_on_exit=False)
            until_end.callback(meters.shutdown, _FLUSH_MS)
            metrics.use(meters.get_meter("holdgate", __version__))
            until_end.callback(metrics.use, None)
        yield


def _scraped(host: str, port: int, registry: CollectorRegistry, file: str) -> Callable[[], None]:
    """Answer scrapes; returns what ends it."""
    try:
        server, thread = start_http_server(port, host, registry)
    except OSError as broken:
        raise StartupError(
            f"Port {port} on {host} cannot be used for metrics: {broken.strerror}.",
            file=file,
            remedy="Stop the program that has it, or set another `telemetry: prometheus: port`.",
        ) from broken

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop
