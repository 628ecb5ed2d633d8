"""The two ends of a pipe: strict JSON lines in, and answers out that are known to have left (semantics.md I-5, I-15).

A bad line is refused, and the process lives on.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import BinaryIO, TextIO

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


class WatchedLines:
    """Lines out, and which answers they carried, once they were flushed into the pipe.

    Args:
        stream: written in a worker thread.
        answered: ids of actions whose answer is on its way; emptied here as the answers leave.
        delivered: told of those that have left.
    """

    def __init__(self, stream: TextIO, answered: list[str], delivered: Callable[[list[str]], Awaitable[None]]) -> None:
        self._stream = stream
        self._answered = answered
        self._delivered = delivered
        self._written: list[str] = []

    async def write(self, text: str) -> None:
        """Buffer one line."""
        await anyio.to_thread.run_sync(self._stream.write, text)
        # An action's id is random and stands in its answer, so the line that names it is the one that carries it.
        self._written += [action_id for action_id in self._answered if action_id in text]

    async def flush(self) -> None:
        """Hand the buffered lines over, and report the answers among them."""
        await anyio.to_thread.run_sync(self._stream.flush)
        if self._written:
            left, self._written = self._written, []
            self._answered[:] = [action_id for action_id in self._answered if action_id not in left]
            await self._delivered(left)
