"""Standard input as strict JSON lines: a bad one is refused, and the process lives on (semantics.md I-5)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO

import anyio.to_thread

from gateway.strict_json import MAX_BYTES, BadJson, loads

Refuse = Callable[[str], Awaitable[None]]
"""Tells the client which rule a line broke."""


async def strict_lines(stream: BinaryIO, refuse: Refuse) -> AsyncIterator[str]:
    """The lines of `stream` that hold one JSON object within our limits; ends with the stream.

    Args:
        stream: read in a worker thread, at most one line at a time.
        refuse: awaited with one sentence for every other line.
    """
    while line := await _read(stream):
        if not line.strip():
            continue
        try:
            if len(line) > MAX_BYTES:
                await _skip_rest(stream, line)
            message = loads(line)
        except BadJson as error:
            await refuse(str(error))
            continue
        if isinstance(message, dict):
            yield line.decode()
        else:
            await refuse("Send exactly one JSON-RPC 2.0 object on a line.")


async def _read(stream: BinaryIO) -> bytes:
    # A blocked read must not keep the process from stopping.
    return await anyio.to_thread.run_sync(stream.readline, MAX_BYTES + 2, abandon_on_cancel=True)


async def _skip_rest(stream: BinaryIO, line: bytes) -> None:
    while line and not line.endswith(b"\n"):
        line = await _read(stream)
