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

from gateway.frozen import statically_frozen
from gateway.outbound.resolver import CheckedResolver, Resolve, ask_the_system, refuse_unless_allowed
from gateway.strict_json import MAX_BYTES

if TYPE_CHECKING:
    from aiohttp.client_reqrep import ConnectionKey
    from aiohttp.connector import Connection
    from aiohttp.http_parser import RawResponseMessage
    from aiohttp.tracing import Trace

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
"""What the engine raises when no byte of the request can have left; after anything else, one may have."""

_KEEP_ALIVE: Final = 4.0
"""Seconds. Below the 5 that common servers wait, so that they rarely close a connection just as it is used again:
for a write that race has an unknown outcome (semantics.md I-7)."""
_CONNECTING: Final = aiohttp.ClientTimeout(connect=5.0, ceil_threshold=math.inf)
"""There must be a connection in 5 seconds. aiohttp rounds up by as much as a second, unless told not to."""
_SWITCHED: Final = 101
"""Status of an answer after which its connection speaks something else, though nobody asked it to."""
_INTERIM: Final = frozenset(range(100, 200)) - {_SWITCHED}
"""Statuses of answers that another one follows."""


class BodyRefused(httpx.DecodingError):
    """The answer's body is too large, or encoded though the gateway asked for it plain."""


@statically_frozen
class Response:
    """What came back."""

    status: int
    retry_after: str | None
    """The header of that name."""
    body: bytes | httpx.RequestError
    """Or why it could not be read: `BodyRefused`, or the connection broke."""


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

    async def send(
        self, method: str, path: str, headers: Sequence[tuple[str, str]], body: bytes, *, deadline: float
    ) -> Response:
        """The whole answer.

        Args:
            path: under the base, with its query; percent-encoded.
            deadline: for everything, the answer's body included; on the event loop's clock.

        Raises:
            AddressRefused, httpx.ConnectError, httpx.ConnectTimeout: nothing was sent.
            httpx.TransportError: any other; the request may have reached the upstream.
        """
        exchange = _Exchange()
        try:
            async with asyncio.timeout_at(deadline):
                connections = self._connections or self._open_connections()
                return await exchange.run(connections, self._spelled(method, path, headers, body), self._max_body)
        except asyncio.CancelledError as cancelled:
            # This frame and those below hold the signed headers, which are not handed on.
            del headers
            raise cancelled.with_traceback(None) from None
        except Exception as error:  # noqa: BLE001 - the boundary to aiohttp: whatever it raises, `exchange` decides
            failure = exchange.failure(error)
        finally:
            exchange.end()
        # Outside of `except`: an exception that hung on this one would carry the signed headers in its frames.
        del headers
        if exchange.head is not None:
            return _response(exchange.head, failure)
        raise failure

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

    async def take(self) -> Connection:
        """A kept connection, or a new one."""
        return await self.connect(self._destination, [], _CONNECTING)

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        """A kept connection. What came on it since its last answer would be taken for the next one (I-7)."""
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is not None and not kept.protocol.should_close:
                break
            kept.close()
        return kept


class _Exchange:
    """One request and its answer. Knows how far they came, which alone decides what a failure means."""

    __slots__ = ("connection", "head", "whole")

    def __init__(self) -> None:
        self.connection: Connection | None = None
        """As soon as there is one, the request may have been sent."""
        self.head: RawResponseMessage | None = None
        """The answer's status and headers."""
        self.whole = False
        """Whether nothing of it is still under way, so that the connection may be used again."""

    async def run(self, connections: _Connections, request: bytes, max_body: int) -> Response:
        """Send the request, and wait for the answer."""
        self.connection = await connections.take()
        protocol, transport = self.connection.protocol, self.connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(auto_decompress=False, read_until_eof=True)
        transport.write(request)
        head, content = await protocol.read()
        while head.code in _INTERIM:
            head, content = await protocol.read()
        self.head = head
        body = _refusal(head, max_body) or await _read(content, max_body)
        ended = content.at_eof() and head.code != _SWITCHED
        self.whole = ended and transport.get_write_buffer_size() == 0
        return _response(head, body)

    def failure(self, error: Exception) -> httpx.TransportError:
        """The httpx exception for `error`: by what had happened so far, never by what aiohttp calls it."""
        late = isinstance(error, TimeoutError)
        if self.head is not None:
            if late:
                return httpx.ReadTimeout("The answer's body did not arrive in time.")
            return httpx.ReadError("The answer's body broke off.")
        if self.connection is not None:
            if late:
                return httpx.ReadTimeout("No answer in time.")
            if isinstance(error, (aiohttp.ServerDisconnectedError, OSError)):
                return httpx.ReadError("The connection broke before the answer.")
            return httpx.RemoteProtocolError("The answer was not HTTP.")
        if isinstance(error, httpx.ConnectError):
            return error.with_traceback(None)
        if late:
            return httpx.ConnectTimeout("No connection in time.")
        return httpx.ConnectError(f"No connection: {_cause(error)}.")

    def end(self) -> None:
        """Leave the connection to the next request, or close it."""
        if self.connection is None:
            return
        if self.whole:
            self.connection.release()
        else:
            self.connection.close()


def _refusal(head: RawResponseMessage, max_body: int) -> BodyRefused | None:
    """Why a body that these headers announce is not even read."""
    encodings = [value.strip().lower() for value in head.headers.getall("Content-Encoding", ())]
    if any(encoding not in ("", "identity") for encoding in encodings):
        return BodyRefused("The answer's body is compressed, which the gateway did not ask for.")
    return _too_large(max_body) if int(head.headers.get("Content-Length", 0)) > max_body else None


async def _read(content: aiohttp.StreamReader, max_body: int) -> bytes | BodyRefused:
    """The body, once it is there."""
    pieces, size = [], 0
    while not content.at_eof():
        pieces.append(await content.readany())
        size += len(pieces[-1])
        if size > max_body:
            return _too_large(max_body)
    return b"".join(pieces)


def _too_large(max_body: int) -> BodyRefused:
    return BodyRefused(f"The answer's body is larger than {max_body} bytes.")


def _response(head: RawResponseMessage, body: bytes | httpx.RequestError) -> Response:
    return Response(head.code, head.headers.get("Retry-After"), body)


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name has no address"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return "the host did not prove its name over TLS"
    if isinstance(error, OSError) and error.errno is not None:
        return "the host did not accept it"
    return type(error).__name__
