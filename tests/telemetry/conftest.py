"""A gateway process whose telemetry is on, and who listens to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acme import acme, shared_acme
from tests.gate import Gate, gate
from tests.place import Place, furnished, place
from tests.services import free_port
from tests.telemetry.collector import Collector, collecting

__all__ = ["acme", "furnished", "place", "shared_acme"]


@pytest.fixture
def collector() -> Iterator[Collector]:
    """An OTLP receiver in this process."""
    with collecting() as listening:
        yield listening


@pytest.fixture
def watched(place: Place, collector: Collector) -> Iterator[Gate]:
    """A gateway process that is scraped, and that sends to the collector often."""
    port = free_port()
    place.write_settings(telemetry={"prometheus": {"port": port}, "otlp": collector.url})
    with gate(place, OTEL_METRIC_EXPORT_INTERVAL="200", OTEL_BSP_SCHEDULE_DELAY="50") as started:
        yield started
