"""Probes: whether this process lives, and whether it can record calls now. Anybody may ask, so asking is cheap.

A probe reaches a pod by its address, under whatever Host, and without a credential. It learns up or down, and the name
of the process, by which `holdgate doctor` tells this gateway from whatever else may have its port.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from gateway.errors import LedgerUnavailable
from gateway.wire.http_answers import Answer, json_answer

_ALIVE: Final = "/healthz"
_READY: Final = "/readyz"
_STANDS_SECONDS: Final = 1.0
"""How long one look at the store answers every probe: to look is to write."""


class Probes:
    """Answers `/healthz` and `/readyz`.

    Args:
        ready: whether calls can be recorded now; asked at most once a second, and never twice at a time.
        headers: of every answer.
        clock: seconds, never going back.
    """

    def __init__(
        self, ready: Callable[[], Awaitable[bool]], headers: Mapping[str, str], clock: Callable[[], float]
    ) -> None:
        self._ready = ready
        self._headers = headers
        self._clock = clock
        self._look: asyncio.Task[bool] | None = None
        self._looked_at = 0.0

    async def answer(self, method: str, path: str) -> Answer | None:
        """The answer, when this is a probe."""
        if path not in (_ALIVE, _READY) or method not in ("GET", "HEAD"):
            return None
        up = path == _ALIVE or await self._is_ready()
        return json_answer(200 if up else 503, {"ok": up}, self._headers)

    async def _is_ready(self) -> bool:
        look = self._look
        if look is None or (look.done() and self._clock() - self._looked_at >= _STANDS_SECONDS):
            look = self._look = asyncio.create_task(self._ask())
        # Whoever asks waits for the same look, and may leave without ending it for the others.
        return await asyncio.shield(look)

    async def _ask(self) -> bool:
        try:
            return await self._ready()
        except LedgerUnavailable:
            return False
        finally:
            self._looked_at = self._clock()
