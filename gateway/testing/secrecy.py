"""A credential for tests: lent from memory, and looked for in log lines and in every disguise of common encodings."""

from __future__ import annotations

import base64
import html
import json
import logging
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager

from gateway.errors import CredentialUnavailable
from gateway.redact import RedactingFilter, Redactor
from gateway.telemetry.logs import JsonLines
from vault.broker import Reading
from vault.reference import Reference
from vault.secret import Secret


class MemoryVault:
    """A vault that lives as long as a test: values by reference, lent through the real broker.

    Args:
        values: reference, such as `kv/shop/orders#token`, to value; a test may change it while it runs.
    """

    def __init__(self, values: dict[str, str]) -> None:
        self.values = values
        self.reads = 0
        """How often the broker has asked."""

    async def read(self, reference: Reference) -> Reading:
        """The newest value; see `vault.broker.Backend.read`."""
        self.reads += 1
        value = self.values.get(str(reference))
        if value is None:
            raise CredentialUnavailable(f"There is nothing under {reference}. Store it.")
        return Reading(Secret(value), str(self.reads))

    async def check(self) -> str:
        """See `vault.broker.Backend.check`."""
        return f"It holds {len(self.values)} values."

    async def close(self) -> None:
        """There is nothing to let go of."""


@contextmanager
def captured(redactor: Redactor, *, libraries: int = logging.WARNING) -> Iterator[list[str]]:
    """Log lines, cleaned and spelled as the gateway's own are: the house's at every level, and its libraries'.

    Args:
        libraries: the level from which theirs are kept.
    """
    lines: list[str] = []
    handler = _Keeping(lines, libraries)
    handler.setFormatter(JsonLines())
    handler.addFilter(RedactingFilter(redactor))
    root, house = logging.getLogger(), logging.getLogger("holdgate")
    levels = root.level, house.level
    root.addHandler(handler)
    root.setLevel(min(root.level, libraries))
    house.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.removeHandler(handler)
        root.setLevel(levels[0])
        house.setLevel(levels[1])


class _Keeping(logging.Handler):
    def __init__(self, lines: list[str], libraries: int) -> None:
        super().__init__()
        self._lines = lines
        self._libraries = libraries

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= self._libraries or record.name.startswith("holdgate."):
            self._lines.append(self.format(record))


def disguises(secret: str) -> list[str]:
    """`secret`, and how it looks when something has encoded it: what a search for a leak has to look for."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"x" * shift + raw).decode()[4 if shift else 0 : -4] for shift in range(3)]
    texts = [
        secret,
        secret[::-1],
        raw.hex(),
        raw.hex().upper(),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        secret.replace("/", "\\/"),
        html.escape(secret),
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        *shifted,
        *(part.replace("+", "-").replace("/", "_") for part in shifted),
    ]
    return list(dict.fromkeys(texts))
