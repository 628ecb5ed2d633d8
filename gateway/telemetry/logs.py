"""Log lines: one JSON object each, and nothing that a caller could forge a second one with."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime

_BUILT_IN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


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
        if record.exc_text:
            # A filter has cleaned it, and taken the exception itself away.
            line["exception"] = record.exc_text
        elif record.exc_info:
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
