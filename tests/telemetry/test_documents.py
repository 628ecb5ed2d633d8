"""What operators are told of metrics is what there is: the page, the dashboard, the alerts."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from prometheus_client import CollectorRegistry

from gateway.documents import load
from gateway.settings import Settings
from gateway.telemetry.metrics import METRICS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
GRAFANA = ROOT / "deploy" / "grafana"
ROW = re.compile(r"^\| `([\w.]+)`<br>`(\w+)` \| (\w+) \| (.*?) \| .+ \|$", re.MULTILINE)


def families() -> dict[str, str]:
    """OpenTelemetry's name to the one that the Prometheus exporter makes of it."""
    named = {}
    for metric in METRICS:
        registry = CollectorRegistry()
        meters = MeterProvider([PrometheusMetricReader(disable_target_info=True, registry=registry)])
        meter = meters.get_meter("names")
        match metric.kind:
            case "counter":
                meter.create_counter(metric.name, metric.unit).add(1)
            case "histogram":
                meter.create_histogram(metric.name, metric.unit).record(1)
            case "gauge":
                meter.create_gauge(metric.name, metric.unit).set(1)
        (family,) = registry.collect()
        named[metric.name] = family.name + ("_total" if metric.kind == "counter" else "")
        meters.shutdown()
    return named


def labels() -> dict[str, set[str]]:
    """Prometheus name to the labels that the page gives it, as Prometheus writes them."""
    return {
        prometheus: {label.replace(".", "_") for label in re.findall(r"`([\w.]+)`", said)}
        for _, prometheus, _, said in ROW.findall(PAGE)
    }


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    dashboard = json.loads((GRAFANA / "dashboard.json").read_text(encoding="utf-8"))
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return found + [rule["expr"] for rule in rules()]


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load((GRAFANA / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_page_has_every_metric_and_no_other() -> None:
    """Name, the name in Prometheus and kind are those of the code; an undocumented metric fails here."""
    told = {name: (prometheus, kind) for name, prometheus, kind, _ in ROW.findall(PAGE)}
    made = families()
    assert told == {metric.name: (made[metric.name], metric.kind) for metric in METRICS}


def test_the_settings_on_the_page_are_read(tmp_path: Path) -> None:
    """What the page says to write into holdgate.yaml is accepted by it."""
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (tmp_path / "holdgate.yaml").write_text(example)
    telemetry = load(tmp_path / "holdgate.yaml", Settings).value.telemetry
    assert telemetry.prometheus is not None
    assert telemetry.otlp is not None


@pytest.mark.parametrize("expression", expressions())
def test_dashboard_and_alerts_name_only_metrics_and_labels_that_exist(expression: str) -> None:
    """A panel that stays empty, or an alert that never fires, because a name was changed, fails here."""
    known = labels()
    samples = set(known)
    for metric in METRICS:
        if metric.kind == "histogram":
            samples |= {f"{families()[metric.name]}_{part}" for part in ("bucket", "sum", "count")}
    without_labels = re.sub(r"by \([^)]*\)|\{[^}]*\}", "", expression)
    named = set(re.findall(r"\b(?:mcp|http|holdgate)_\w+", without_labels))
    assert named
    assert named <= samples
    allowed = {"le"}.union(*(known[re.sub(r"_(bucket|sum|count)$", "", name)] for name in named))
    used = {label.strip() for group in re.findall(r"by \(([^)]*)\)", expression) for label in group.split(",")}
    used |= set(re.findall(r"[{,]\s*(\w+)\s*[!=]", expression))
    assert used <= allowed


def test_every_alert_says_what_to_do() -> None:
    """An alert has a severity, a sentence, and the next step."""
    assert rules()
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"].keys() == {"summary", "action"}
