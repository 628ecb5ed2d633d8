"""Spans and log lines. One span per phase of a call; no argument, no result, no name the caller made up."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from opentelemetry import trace

from gateway.model import Action

_tracer = trace.get_tracer("holdgate")
_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


@contextmanager
def phase(name: str, action: Action) -> Iterator[None]:
    """A span for one phase of one action. Costs nothing to speak of until a tracer provider is configured."""
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield
        return
    with _tracer.start_as_current_span(f"holdgate.{name}") as span:
        if span.is_recording():
            span.set_attribute("gen_ai.tool.name", action.tool.name)
            span.set_attribute("holdgate.action.id", action.id)
            span.set_attribute("holdgate.mode", str(action.mode))
        yield


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, event and the facts given in `extra`; no line can be forged in it."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, object] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _BUILT_IN}
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(level: str, *filters: logging.Filter) -> None:
    """Send the house's log lines to standard error as JSON, and the libraries' from warning on.

    Args:
        level: of our own loggers: debug, info, warning or error.
        filters: run on every record, e.g. the redactor.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    for each in filters:
        handler.addFilter(each)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("holdgate").setLevel(level.upper())
