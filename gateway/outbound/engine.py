"""The engine of the outbound door: one request over aiohttp, and one answer to "could it have been sent?".

It uses aiohttp's connections and aiohttp's parser, and not its session, which may send a request again. Its failures
are httpx's exceptions. Why it is our own: docs/decisions/0002-outbound-engine.md.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx
from yarl import URL

from gateway.outbound.exchange import Exchange, Response, spoilt, unconnected
from gateway.outbound.resolver import CheckedResolver, Resolve, ask_the_system, refuse_unless_allowed
from gateway.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

_KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 that common servers wait, so that they rarely close a connection just as it is used again:
for a write that race has an unknown outcome (semantics.md I-7)."""
_CONNECTING: Final = aiohttp.ClientTimeout(connect=5.0, ceil_threshold=math.inf)
"""There must be a connection in 5 seconds. aiohttp rounds up by as much as a second, unless told not to."""


class AiohttpEngine:
    """Sends one request once, to one host: no redirect, no second try, no cookie, no proxy, no compression.

    Belongs to one event loop, and opens its connections there on the first request.

    Args:
        base: `scheme://host[:port][/prefix]`, percent-encoded.
        internal: whether the host may have a private or loopback address.
        max_body: bytes of an answer that are read at most.
        tls: made once, because making one costs milliseconds; the system's trust store by default.
        resolve: asks the system by default.
    """

    def __init__(
        self,
        base: str,
        *,
        internal: bool = False,
        max_body: int = MAX_BYTES,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._base = URL(base, encoded=True)
        self._prefix = self._base.raw_path.rstrip("/")
        self._internal = internal
        self._max_body = max_body
        self._tls = tls
        self._resolve = resolve or ask_the_system
        self._connections: _Connections | None = None

    async def connect(self, *, deadline: float) -> Exchange:
        """A connection for one request, kept or new, on which nothing is sent yet; given back by the end of its block.

        Args:
            deadline: on the event loop's clock.

        Raises:
            AddressRefused, httpx.ConnectError, httpx.ConnectTimeout: there is none.
        """
        try:
            return Exchange(await (self._connections or self._open_connections()).take(deadline))
        except Exception as error:  # noqa: BLE001 - the boundary to aiohttp: whatever it raises, nothing was sent
            failure = unconnected(error)
        raise failure

    async def send(
        self,
        exchange: Exchange,
        method: str,
        path: str,
        headers: Sequence[tuple[str, str]],
        body: bytes,
        *,
        deadline: float,
    ) -> Response:
        """The whole answer.

        Args:
            exchange: of this engine, and good for one request.
            path: under the base, with its query; percent-encoded.
            deadline: for everything, the answer's body included; on the event loop's clock.

        Raises:
            httpx.ConnectError: nothing was sent.
            httpx.TransportError: any other; the request may have reached the upstream.
        """
        try:
            async with asyncio.timeout_at(deadline):
                return await exchange.run(self._spelled(method, path, headers, body), self._max_body)
        except asyncio.CancelledError as cancelled:
            # This frame and those below hold the signed headers, which are not handed on.
            del headers
            raise cancelled.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - the boundary to aiohttp: whatever it raises, `exchange` decides
            ended = exchange.ended_by(error)
        # Outside of `except`: an exception that hung on this one would carry the signed headers in its frames.
        del headers
        if isinstance(ended, Response):
            return ended
        raise ended

    async def aclose(self) -> None:
        """Close every connection."""
        if self._connections is not None:
            await self._connections.close()

    def _spelled(self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> bytes:
        """The request as it stands on the wire.

        Raises:
            httpx.ConnectError: something in it would not stay on its line.
        """
        lines = [f"{method} {self._prefix}{path} HTTP/1.1", f"Host: {self._base.host_port_subcomponent}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body or method != "GET":
            lines.append(f"Content-Length: {len(body)}")
        spelled = "".join(lines)
        if not (spelled.isascii() and spelled.isprintable()):
            raise httpx.ConnectError("The request is not printable ASCII.")
        return "\r\n".join((*lines, "", "")).encode("ascii") + body

    def _open_connections(self) -> _Connections:
        """To the host, once its address, where it is one, is checked: those pass by the resolver.

        Raises:
            AddressRefused: it may not be connected to.
        """
        host = (self._base.raw_host or "").strip("[]")
        if ":" in host or host.replace(".", "").isdigit():
            refuse_unless_allowed(host, self._internal)
        resolver = CheckedResolver(self._resolve, internal=self._internal)
        self._connections = _Connections(self._base, self._tls or ssl.create_default_context(), resolver)
        return self._connections


class _Connections(aiohttp.TCPConnector):
    """Connections to one host. Those that served are kept for a while, and used again."""

    def __init__(self, base: URL, tls: ssl.SSLContext, resolver: CheckedResolver) -> None:
        super().__init__(
            limit=0,  # the door bounds concurrency, where waiting is known to be not sent
            ssl=tls,
            resolver=resolver,
            keepalive_timeout=_KEEP_ALIVE,
        )
        # Says where to, and is never sent.
        self._destination = aiohttp.ClientRequest("GET", base, loop=asyncio.get_running_loop())
        self._key = self._destination.connection_key

    async def take(self, deadline: float) -> Connection:
        """A kept connection, or else a new one, which takes time."""
        kept = await self._get(self._key, [])
        if kept is not None:
            return kept
        async with asyncio.timeout_at(deadline):
            return await self.connect(self._destination, [], _CONNECTING)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """A kept connection. What came on it since its last answer would be taken for the next one (I-7)."""
        while (kept := await super()._get(key, traces)) is not None:
            if not spoilt(kept):
                break
            kept.close()
        return kept
