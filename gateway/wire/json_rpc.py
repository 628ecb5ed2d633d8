"""The codes of JSON-RPC errors: those of the protocol, and our own, outside what it reserves (semantics.md I-14)."""

from __future__ import annotations

from typing import Final

PARSE_ERROR: Final = -32_700
INVALID_REQUEST: Final = -32_600
INVALID_PARAMS: Final = -32_602
INTERNAL_ERROR: Final = -32_603
NOT_FOUND: Final = -32_002
"""What the revisions before 2026-07-28 say of a resource that there is not."""
HEADER_MISMATCH: Final = -32_020
CAPABILITY_MISSING: Final = -32_021
"""The client would have had to declare what it can be asked."""
UNSUPPORTED_VERSION: Final = -32_022
"""A revision that is not spoken here; `data` names those that are."""

NOT_DONE: Final = -31_000
"""A resource or a prompt was not handed over."""


def of_http(status: int) -> int:
    """The code of a failure that has only an HTTP status."""
    return NOT_DONE - status
