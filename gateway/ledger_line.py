"""A line of the ledger, and what it records."""

from __future__ import annotations

from enum import StrEnum

from gateway.frozen import statically_frozen


class Event(StrEnum):
    """What a ledger line records (semantics.md L-2)."""

    REFUSED = "REFUSED"
    PREVIEW = "PREVIEW"
    INTENT = "INTENT"
    OUTCOME = "OUTCOME"
    REPLAY = "REPLAY"
    HOLD_CREATED = "HOLD_CREATED"
    HOLD_DECIDED = "HOLD_DECIDED"
    VOTE = "VOTE"
    CONSUMED = "CONSUMED"
    RECONCILE = "RECONCILE"
    CONFIG = "CONFIG"
    SWITCH = "SWITCH"
    KEY = "KEY"
    WRITER_OPEN = "WRITER_OPEN"
    WRITER_CLOSE = "WRITER_CLOSE"


@statically_frozen
class LedgerLine:
    """One line of the ledger, as stored: `hash` = SHA-256 of `text`, and `text` contains the previous hash."""

    seq: int
    hash: str
    text: str
    """RFC 8785 canonical JSON."""
