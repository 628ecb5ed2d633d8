"""The two ends of a pipe: strict JSON lines in, and answers out that are known to have left (semantics.md I-5, I-15).

A bad line is refused, and the process lives on.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import CancelledError
from typing import Final, TextIO

import anyio.to_thread

from gateway.strict_json import MAX_BYTES
from gateway.wire.messages import ENDS, BadMessage, read, too_long

Refuse = Callable[[BadMessage], Awaitable[None]]
"""Tells the client which rule a line broke."""

_LONGEST: Final = MAX_BYTES + 2
"""Bytes that are read of a line, its end included: one that is longer is refused, and the rest of it is skipped."""


async def strict_lines(descriptor: int, refuse: Refuse) -> AsyncIterator[str]:
    """The lines from `descriptor` that hold one message within our limits; ends with it.

    Args:
        refuse: awaited for every other line.
    """
    lines = _Lines(descriptor)
    while line := await lines.read(_LONGEST):
        part, ended = line, line[-ENDS:]
        while len(part) == _LONGEST and not part.endswith(b"\n"):
            part = await lines.read(_LONGEST)
            ended = (ended + part)[-ENDS:]
        if len(line) < _LONGEST and not line.strip():
            continue
        # One end only: who took off more would find a message within the limit in a line that is cut off.
        message = line.removesuffix(b"\n").removesuffix(b"\r")
        try:
            if len(message) > MAX_BYTES:
                raise too_long(message, ended)
            read(message)
        except BadMessage as bad:
            await refuse(bad)
        else:
            yield line.decode()


class _Lines:
    """Lines of a descriptor that may block for ever.

    A daemon thread reads it, because neither a pool's thread nor a buffered reader's lock would let the process end
    while the client keeps its end of the pipe open.
    """

    def __init__(self, descriptor: int) -> None:
        self._chunks: asyncio.Queue[bytes] = asyncio.Queue(maxsize=4)
        self._buffer = b""
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._pump, args=(descriptor, loop), name="holdgate-stdin", daemon=True).start()

    async def read(self, limit: int) -> bytes:
        """The next line with its end, or its first `limit` bytes; empty at the end of the stream."""
        while (end := self._buffer.find(b"\n", 0, limit)) < 0 and len(self._buffer) < limit:
            chunk = await self._chunks.get()
            if not chunk:
                end = len(self._buffer) - 1
                self._chunks.put_nowait(b"")
                break
            self._buffer += chunk
        length = end + 1 if end >= 0 else min(limit, len(self._buffer))
        line, self._buffer = self._buffer[:length], self._buffer[length:]
        return line

    def _pump(self, descriptor: int, loop: asyncio.AbstractEventLoop) -> None:
        # A loop that is closed by now asks for no more.
        with contextlib.suppress(RuntimeError, CancelledError):
            while True:
                chunk = _read(descriptor)
                asyncio.run_coroutine_threadsafe(self._chunks.put(chunk), loop).result()
                if not chunk:
                    return


def _read(descriptor: int) -> bytes:
    """What there is, once there is something; empty at the end, and where nothing can come any more."""
    while True:
        try:
            return os.read(descriptor, 65_536)
        except BlockingIOError:
            # A parent that reads it, too, as Node does, may leave it so at any moment.
            select.select([descriptor], [], [])
        except OSError:
            return b""


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
