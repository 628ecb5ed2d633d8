"""The engine of the outbound door: httpx's types over aiohttp, and one answer to "could it have been sent?".

Why it is our own, and not `httpx-aiohttp`: docs/decisions/0002-outbound-engine.md.
"""

from __future__ import annotations

import asyncio
import math
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Final, NoReturn, TypeAlias

import aiohttp
import httpx
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from gateway.outbound.egress import address_refusal

Resolve: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""Host and port to addresses. Raises OSError when there are none."""

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
"""What the engine raises when no byte of the request can have left; after anything else, one may have."""

MAX_BODY: Final = 2 * 1024 * 1024
_KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 that common servers wait, so that they rarely close a connection just as it is used again:
for a write that race has an unknown outcome (semantics.md I-7)."""
_UNFRAMED: Final = frozenset((b"content-length", b"transfer-encoding", b"connection"))


class AddressRefused(httpx.ConnectError):
    """The host leads to an address that the gateway does not connect to (semantics.md C-8). Nothing was sent."""


class BodyRefused(httpx.DecodingError):
    """The answer's body is too large, or encoded though the gateway asked for it plain."""


class AiohttpEngine(httpx.AsyncBaseTransport):
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
        self._resolve = resolve or _ask_the_system
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """The answer's head; its body is read, bounded, by `aread()`.

        `request.extensions["timeout"]` holds seconds as httpx has them, and `total`: for everything, body included.

        Raises:
            AddressRefused, httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.TransportError: any other; the request may have reached the upstream.
        """
        attempt = _Attempt()
        failure: httpx.TransportError
        try:
            self._check_literal(request.url.host)
            response = await self._open_session().request(
                request.method,
                URL(str(request.url), encoded=True),
                headers=[
                    (name.decode("ascii"), value.decode("latin-1"))
                    for name, value in request.headers.raw
                    if name.lower() not in _UNFRAMED
                ],
                data=request.content or None,
                allow_redirects=False,
                timeout=_timeout_of(request),
                middlewares=(attempt,),
                trace_request_ctx=attempt,
            )
        except asyncio.CancelledError as cancelled:
            # This frame and those below hold the signed headers, which are not handed on.
            del request
            raise cancelled.with_traceback(None) from None
        except httpx.TransportError as known:
            failure = known.with_traceback(None)
        except Exception as error:  # noqa: BLE001 - the boundary to aiohttp: whatever it raises, `connected` decides
            failure = attempt.translate(error)
        else:
            return httpx.Response(
                response.status, headers=response.raw_headers, stream=_BoundedBody(response, self._max_body)
            )
        # Outside of `except`: an exception that hung on this one would carry the signed headers in its frames.
        del request
        raise failure

    async def aclose(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    def _check_literal(self, host: str) -> None:
        """Addresses in a URL pass by the resolver, so they are checked here."""
        bare = host.strip("[]")
        if ":" in bare or bare.replace(".", "").isdigit():
            _refuse_unless_allowed(bare, self._internal)

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_note_connection)
            trace.on_connection_reuseconn.append(_note_connection)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    limit=0,  # the door bounds concurrency, where waiting is known to be not sent
                    ssl=self._tls or ssl.create_default_context(),
                    resolver=_CheckedResolver(self._resolve, internal=self._internal),
                    keepalive_timeout=_KEEP_ALIVE,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=False,
                auto_decompress=False,
                trace_configs=[trace],
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
        except Exception as error:  # noqa: BLE001 - the same boundary as in handle_async_request
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


async def _note_connection(
    session: aiohttp.ClientSession,
    context: SimpleNamespace,
    event: aiohttp.TraceConnectionCreateEndParams | aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.connected = True


class _BoundedBody(httpx.AsyncByteStream):
    """An answer's body, read once and at most `limit` bytes of it."""

    def __init__(self, response: aiohttp.ClientResponse, limit: int) -> None:
        self._response = response
        self._limit = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        encodings = [value.strip().lower() for value in self._response.headers.getall("Content-Encoding", [])]
        if any(encoding not in ("", "identity") for encoding in encodings):
            self._refuse("The answer's body is compressed, which the gateway did not ask for.")
        if (self._response.content_length or 0) > self._limit:
            self._refuse(f"The answer's body is larger than {self._limit} bytes.")
        seen = 0
        try:
            async for chunk in self._response.content.iter_any():
                seen += len(chunk)
                if seen > self._limit:
                    self._refuse(f"The answer's body is larger than {self._limit} bytes.")
                yield chunk
        except TimeoutError:
            raise httpx.ReadTimeout("The answer's body did not arrive in time.") from None
        except (aiohttp.ClientError, OSError):
            raise httpx.ReadError("The answer's body broke off.") from None

    async def aclose(self) -> None:
        """Hand the connection back when the body was read to its end, else close it."""
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()

    def _refuse(self, message: str) -> NoReturn:
        self._response.close()
        raise BodyRefused(message)


class _CheckedResolver(AbstractResolver):
    """Resolves a host and hands on nothing, unless the gateway may connect to each of its addresses.

    aiohttp connects to what is handed on and keeps the host's name for TLS and `Host`, so no second resolution
    can lead elsewhere.
    """

    def __init__(self, resolve: Resolve, *, internal: bool) -> None:
        self._resolve = resolve
        self._internal = internal

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        addresses = await self._resolve(host, port)
        if not addresses:
            raise OSError(f"{host} has no address")
        for address in addresses:
            _refuse_unless_allowed(address, self._internal)
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in addresses
        ]

    async def close(self) -> None:
        """Nothing is held open."""


def _refuse_unless_allowed(address: str, internal: bool) -> None:
    if reason := address_refusal(address, internal=internal):
        raise AddressRefused(f"The host's address {reason}.")


async def _ask_the_system(host: str, port: int) -> list[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


def _timeout_of(request: httpx.Request) -> aiohttp.ClientTimeout:
    seconds: dict[str, float | None] = request.extensions.get("timeout", {})
    return aiohttp.ClientTimeout(
        total=seconds.get("total"),
        connect=seconds.get("connect"),
        sock_read=seconds.get("read"),
        ceil_threshold=math.inf,  # aiohttp rounds longer ones up by as much as a second
    )
