"""The engine of the outbound door: one request over aiohttp, and one answer to "could it have been sent?".

Its failures are httpx's exceptions. Why it is our own: docs/decisions/0002-outbound-engine.md.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import aiohttp
import httpx
from yarl import URL

from gateway.outbound.resolver import CheckedResolver, Resolve, ask_the_system, refuse_unless_allowed

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.tracing import Trace

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What the engine raises when no byte of the request can have left; after anything else, one may have."""

MAX_BODY: Final = 2 * 1024 * 1024
_KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 that common servers wait, so that they rarely close a connection just as it is used again:
for a write that race has an unknown outcome (semantics.md I-7)."""


class BodyRefused(httpx.DecodingError):
    """The answer's body is too large, or encoded though the gateway asked for it plain."""


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    retry_after: str | None
    """The header of that name."""
    body: bytes | httpx.RequestError
    """Or why it could not be read: `BodyRefused`, or the connection broke."""


class AiohttpEngine:
    """Sends one request once: no redirect, no second try, no cookie, no proxy, no compression.

    Belongs to one event loop, and opens its connections there on the first request.

    Args:
        internal: whether the host may have a private or loopback address.
        max_body: bytes of an answer that are read at most.
        tls: made once, because making one costs milliseconds; the system's trust store by default.
        resolve: asks the system by default.
    """

    def __init__(
        self,
        *,
        internal: bool = False,
        max_body: int = MAX_BODY,
        tls: ssl.SSLContext | None = None,
        resolve: Resolve | None = None,
    ) -> None:
        self._internal = internal
        self._max_body = max_body
        self._tls = tls
        self._resolve = resolve or ask_the_system
        self._session: aiohttp.ClientSession | None = None

    async def send(
        self, method: str, url: str, headers: Sequence[tuple[str, str]], body: bytes, *, connect: float, total: float
    ) -> Response:
        """The whole answer.

        Args:
            url: percent-encoded.
            connect: seconds in which there must be a connection.
            total: seconds for everything, the answer's body included.

        Raises:
            AddressRefused, httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.TransportError: any other; the request may have reached the upstream.
        """
        attempt = _Attempt()
        _under_way.set(attempt)
        failure: httpx.TransportError
        try:
            target = URL(url, encoded=True)
            self._check_literal(target.raw_host or "")
            response = await self._open_session().request(
                method,
                target,
                headers=headers,
                data=body or None,
                allow_redirects=False,
                # aiohttp rounds longer ones up by as much as a second
                timeout=aiohttp.ClientTimeout(total=total, connect=connect, ceil_threshold=math.inf),
                middlewares=(attempt,),
            )
        except asyncio.CancelledError as cancelled:
            # This frame and those below hold the signed headers, which are not handed on.
            del headers
            raise cancelled.with_traceback(None) from None
        except httpx.TransportError as known:
            failure = known.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the boundary to aiohttp: whatever it raises, `connected` decides
            failure = attempt.translate(error)
        else:
            del headers
            return await self._received(response)
        # Outside of `except`: an exception that hung on this one would carry the signed headers in its frames.
        del headers
        raise failure

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _received(self, response: aiohttp.ClientResponse) -> Response:
        """The answer with its body, read once and at most `max_body` bytes of it."""
        body: bytes | httpx.RequestError
        try:
            body = await self._body(response)
        except asyncio.CancelledError as cancelled:
            # What came back remembers what was sent, signed headers included.
            response.close()
            del response
            raise cancelled.with_traceback(None) from None
        except httpx.RequestError as broken:
            broken.__traceback__ = None
            body = broken
        if response.content.at_eof():
            response.release()
        else:
            response.close()
        return Response(response.status, response.headers.get("Retry-After"), body)

    async def _body(self, response: aiohttp.ClientResponse) -> bytes:
        encodings = [value.strip().lower() for value in response.headers.getall("Content-Encoding", ())]
        if any(encoding not in ("", "identity") for encoding in encodings):
            raise BodyRefused("The answer's body is compressed, which the gateway did not ask for.")
        too_large = BodyRefused(f"The answer's body is larger than {self._max_body} bytes.")
        if (response.content_length or 0) > self._max_body:
            raise too_large
        body = bytearray()
        try:
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > self._max_body:
                    raise too_large
        except TimeoutError:
            raise httpx.ReadTimeout("The answer's body did not arrive in time.") from None
        except (aiohttp.ClientError, OSError):
            raise httpx.ReadError("The answer's body broke off.") from None
        return bytes(body)

    def _check_literal(self, host: str) -> None:
        """Addresses in a URL pass by the resolver, so they are checked here."""
        bare = host.strip("[]")
        if ":" in bare or bare.replace(".", "").isdigit():
            refuse_unless_allowed(bare, self._internal)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=_NotingConnector(
                    limit=0,  # the door bounds concurrency, where waiting is known to be not sent
                    ssl=self._tls or ssl.create_default_context(),
                    resolver=CheckedResolver(self._resolve, internal=self._internal),
                    keepalive_timeout=_KEEP_ALIVE,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
            )
        return self._session


class _Attempt:
    """One request on its way: knows whether it had a connection, and keeps aiohttp from sending it again.

    aiohttp re-sends GET, PUT and DELETE on its own when a connection breaks, unless what the middleware lets
    through is no exception of aiohttp's. So everything is translated here, inside of that loop.
    """

    __slots__ = ("connected",)

    def __init__(self) -> None:
        self.connected = False

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the same boundary as in `send`
            failure = self.translate(error)
        raise failure  # outside of `except`, for the same reason as there

    def translate(self, error: Exception) -> httpx.TransportError:
        """The httpx exception for `error`: by what had happened so far, never by what aiohttp calls it."""
        if isinstance(error, httpx.TransportError):
            return error
        if not self.connected:
            if isinstance(error, TimeoutError):
                return httpx.ConnectTimeout("No connection in time.")
            return httpx.ConnectError(f"No connection: {_cause(error)}.")
        if isinstance(error, TimeoutError):
            return httpx.ReadTimeout("No answer in time.")
        if isinstance(error, (aiohttp.ServerDisconnectedError, OSError)):
            return httpx.ReadError("The connection broke before the answer.")
        return httpx.RemoteProtocolError(f"The answer was not HTTP: {type(error).__name__}.")


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name has no address"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return "the host did not prove its name over TLS"
    if isinstance(error, OSError) and error.errno is not None:
        return "the host did not accept it"
    return type(error).__name__


_under_way: ContextVar[_Attempt] = ContextVar("_under_way")


class _NotingConnector(aiohttp.TCPConnector):
    """Tells an attempt when it has a connection, new or kept, and keeps none that spoke without being asked.

    aiohttp's trace signals would tell the first at ten times the price.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 - its signature
    ) -> Connection:
        connection = await super().connect(req, traces, timeout)
        _under_way.get().connected = True
        return connection

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """A kept connection. What came on it since its last answer would be taken for the next one (I-7)."""
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                break
            kept.close()
        return kept
