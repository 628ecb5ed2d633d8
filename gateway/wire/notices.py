"""What a client hears of its call before the answer: signs of life, progress, and lines for its log.

Words are queued and sent beside the call, so that a client that does not read never holds up the work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Final

import anyio
from mcp.server.session import ServerSession
from mcp_types import LoggingMessageNotification, LoggingMessageNotificationParams

from gateway.caller import LEVELS, Level
from gateway.model import Call
from gateway.outcome import Outcome
from gateway.wire import questions
from gateway.wire.calls import Handle
from gateway.wire.context import Context, modern
from gateway.wire.sessions import Session
from gateway.wire.signs_of_life import STEP, still_working

_QUEUED: Final = 64
_LAST_WORDS_SECONDS: Final = 1.0
"""How long an answer waits for what was said before it."""

Send = Callable[[ServerSession], Awaitable[None]]


class Notices:
    """The `gateway.caller.Client` of one request.

    Args:
        ctx: the request.
        session: the session or pipe it belongs to, where there is one.
        every: seconds between two signs of life, for a client that asked for progress.
    """

    def __init__(self, ctx: Context, session: Session | None, *, every: float) -> None:
        self._ctx = ctx
        self._line = ctx.session
        self._request = ctx.request_id
        self._every = every
        self._can = questions.askable(ctx)
        self._progress_asked = bool({"progressToken", "progress_token"} & (ctx.meta or {}).keys())
        self._log = None if modern(ctx) else session
        self._queue: asyncio.Queue[Send] = asyncio.Queue(_QUEUED)
        self._sender: asyncio.Task[None] | None = None
        self._over = False
        self._last: float | None = None
        self._total: float | None = None

    @property
    def can(self) -> frozenset[str]:
        """See `Client`."""
        return self._can

    def progress(self, done: float, total: float | None, message: str) -> None:
        """See `Client`."""
        if self._progress_asked and (self._last is None or done > self._last):
            self._last, self._total = done, total
            self._say(lambda line: line.report_progress(done, total, message or None))

    def tell(self, level: Level, tool: str, message: str) -> None:
        """See `Client`. Lines belong to the session of the one who called, and to no other."""
        if self._log is None or LEVELS.index(level) < LEVELS.index(self._log.level):
            return
        said = LoggingMessageNotification(
            params=LoggingMessageNotificationParams(level=level, logger=tool, data=message)
        )
        self._say(lambda line: line.send_notification(said, related_request_id=self._request))

    async def hear(self, handle: Handle, call: Call) -> Outcome:
        """See `calls.Listener`."""
        ticker = asyncio.create_task(self._tick()) if self._progress_asked else None
        try:
            outcome = await questions.answered(handle, self._ctx, call)
            if self._sender is not None:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._queue.join(), _LAST_WORDS_SECONDS)
            return outcome
        finally:
            self._over = True
            for task in (ticker, self._sender):
                if task is not None:
                    task.cancel()

    async def _tick(self) -> None:
        """Say that the call is alive, so that a client's idle timeout starts anew; a quick call sends none."""
        begun = time.monotonic()
        while True:
            await asyncio.sleep(self._every)
            self.progress((self._last or 0.0) + STEP, self._total, still_working(begun))

    def _say(self, send: Send) -> None:
        if self._over:
            return
        with contextlib.suppress(asyncio.QueueFull):
            self._queue.put_nowait(send)
        if self._sender is None:
            self._sender = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while True:
            send = await self._queue.get()
            # The client may leave at any time, and then there is nobody to tell.
            with contextlib.suppress(anyio.BrokenResourceError, anyio.ClosedResourceError):
                await send(self._line)
            self._queue.task_done()
