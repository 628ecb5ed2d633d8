"""One request over one of aiohttp's connections: how far it came, and what a failure there means (semantics.md I-7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Self

import aiohttp
import httpx

from gateway.frozen import statically_frozen

if TYPE_CHECKING:
    from aiohttp.connector import Connection
    from aiohttp.http_parser import RawResponseMessage

NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout)
"""What the engine raises when no byte of the request can have left; after anything else, one may have."""

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
    etag: str = ""
    link: str = ""


def spoilt(connection: Connection) -> bool:
    """Whether nothing may be sent on it: it was closed, or something came on it that nobody had asked for."""
    protocol = connection.protocol
    return protocol is None or protocol.should_close or not protocol.is_connected()


class Exchange:
    """One request and its answer. Knows how far they came, which alone decides what a failure means."""

    __slots__ = ("_connection", "_head", "_sent", "_whole")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._sent = False
        """Whether a byte of the request may have left."""
        self._head: RawResponseMessage | None = None
        """The answer's status and headers."""
        self._whole = False
        """Whether nothing of it is still under way."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the connection to the next request, or close it."""
        if self._whole or not self._sent:
            self._connection.release()
        else:
            self._connection.close()

    async def run(self, request: bytes, max_body: int) -> Response:
        """Send the request, and wait for the answer."""
        protocol, transport = self._connection.protocol, self._connection.transport
        if protocol is None or transport is None or spoilt(self._connection):
            raise httpx.ConnectError("No connection: it was closed before it was used.")
        protocol.set_response_params(auto_decompress=False, read_until_eof=True)
        self._sent = True
        transport.write(request)
        head, content = await protocol.read()
        while head.code in _INTERIM:
            head, content = await protocol.read()
        self._head = head
        body = _refusal(head, max_body) or await _read(content, max_body)
        ended = content.at_eof() and head.code != _SWITCHED
        self._whole = ended and transport.get_write_buffer_size() == 0
        return _response(head, body)

    def ended_by(self, error: Exception) -> Response | httpx.TransportError:
        """What `error` leaves of it: an answer without its body, or httpx's exception for how far it had come.

        Judged by what had happened, and never by what aiohttp calls it.
        """
        if not self._sent:
            return unconnected(error)
        late = isinstance(error, TimeoutError)
        if self._head is not None:
            if late:
                return _response(self._head, httpx.ReadTimeout("The answer's body did not arrive in time."))
            return _response(self._head, httpx.ReadError("The answer's body broke off."))
        if late:
            return httpx.ReadTimeout("No answer in time.")
        if isinstance(error, (aiohttp.ServerDisconnectedError, OSError)):
            return httpx.ReadError("The connection broke before the answer.")
        return httpx.RemoteProtocolError("The answer was not HTTP.")


def unconnected(error: Exception) -> httpx.TransportError:
    """The httpx exception for `error`, before which nothing was sent."""
    if isinstance(error, httpx.ConnectError):
        return error.with_traceback(None)
    if isinstance(error, TimeoutError):
        return httpx.ConnectTimeout("No connection in time.")
    return httpx.ConnectError(f"No connection: {_cause(error)}.")


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
    said = head.headers
    # A header that is a list may come in several lines (RFC 9110).
    link = ", ".join(said.getall("Link", ()))
    return Response(head.code, said.get("Retry-After"), body, said.get("ETag", ""), link)


def _cause(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name has no address"
    if isinstance(error, (aiohttp.ClientConnectorCertificateError, aiohttp.ClientConnectorSSLError)):
        return "the host did not prove its name over TLS"
    if isinstance(error, OSError) and error.errno is not None:
        return "the host did not accept it"
    return type(error).__name__
