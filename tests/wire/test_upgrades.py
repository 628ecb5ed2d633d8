"""A client that offers another protocol is served in this one, and what it sends is read as anybody else's."""

from __future__ import annotations

import re
import socket

import pytest
from starlette.types import Receive, Scope, Send

from gateway.bounded_http import BoundedHttp
from tests.serving import running
from tests.wire.connections import HEAD, WHOLE, Narrow, answer, refusing, repeating, until_closed

OFFERS = {
    "HTTP/2": b"connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAEAAEAA\r\n",
    "a web socket": b"Connection: Upgrade\r\nUpgrade: websocket\r\nsec-websocket-version: 13\r\n",
    "more than one": b"upgrade: a, b/2\r\nUPGRADE: c\r\nconnection: keep-alive, upgrade\r\nconnection: x\r\n",
}
INNER = b"POST /smuggled HTTP/1.1\r\ncontent-length: 0\r\n\r\n"
FRAMED = {
    "by its length": b"content-length: %d\r\n\r\n%b" % (len(INNER), INNER),
    "in chunks": b"transfer-encoding: chunked\r\n\r\n5\r\n%b\r\n%x\r\n%b\r\n0\r\nx: trailer\r\n\r\n"
    % (INNER[:5], len(INNER[5:]), INNER[5:]),
}
"""A body that reads as a request."""


class HeadFirst(BoundedHttp):
    """The same, when a head comes in before what follows it."""

    def data_received(self, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        super().data_received(head + end)
        super().data_received(rest)


class ByteByByte(BoundedHttp):
    """The same, on the slowest of lines."""

    def data_received(self, data: bytes) -> None:
        for at in range(len(data)):
            super().data_received(data[at : at + 1])


@pytest.mark.parametrize("offer", OFFERS.values(), ids=OFFERS)
@pytest.mark.parametrize("framed", FRAMED.values(), ids=FRAMED)
@pytest.mark.parametrize("http", [BoundedHttp, HeadFirst, ByteByByte])
def test_an_offer_of_another_protocol_is_ignored(offer: bytes, framed: bytes, http: type[BoundedHttp]) -> None:
    """RFC 9110, 7.8: the request is served whole, as one without the offer, and so are those that follow."""
    plain = re.sub(rb"(?i)upgrade: .*\r\n", b"", offer)
    with running(repeating, http) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + plain + framed)
        _, told = answer(client)
        assert told.endswith(b"\n\n" + INNER)
        for _ in range(2):
            client.sendall(HEAD + offer + framed)
            assert answer(client)[1] == told
        client.sendall(WHOLE)
        assert answer(client)[1].endswith(b"\n\nhi")


@pytest.mark.parametrize("more", [WHOLE, b"no HTTP"])
def test_what_follows_an_offer_is_no_request_before_the_answer(more: bytes) -> None:
    """It is read as behind any other request: not at all, and the connection ends with the answer."""
    request = HEAD + OFFERS["a web socket"] + b"content-length: 2\r\n\r\nhi"
    with running(repeating) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request + more)
        said = until_closed(client)
        assert (said.count(b"HTTP/1.1 "), said[-4:]) == (1, b"\n\nhi")


@pytest.mark.parametrize(
    ("ends", "version"), [(b"upgrade, close", b"1.1"), (b"upgrade", b"1.0"), (b"upgrade, keep-alive", b"1.0")]
)
def test_an_offer_on_a_connection_that_ends_is_ignored_too(ends: bytes, version: bytes) -> None:
    """Its body is read, and the connection closed after the answer."""
    head = HEAD.replace(b"1.1", version) + b"upgrade: h2c\r\nconnection: " + ends
    with running(repeating) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head + b"\r\ncontent-length: 2\r\n\r\nhi")
        assert until_closed(client).endswith(b"\n\nhi")


def test_a_body_behind_an_offer_is_not_mended() -> None:
    """What the parser refuses in any request it refuses here, and nothing of it is served."""
    served = []

    async def noting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            served.append(scope["path"])
            await repeating(scope, receive, send)

    offer = OFFERS["a web socket"]
    for framing in (
        b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        b"content-length: 2\r\ncontent-length: 3\r\n\r\nhi!",
        b"transfer-encoding: chunked, identity\r\n\r\nhi",
        b"x: a\r\n b\r\ncontent-length: 2\r\n\r\nhi",
    ):
        with running(noting) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(HEAD + offer + framing)
            assert until_closed(client).startswith(b"HTTP/1.1 400 ")
    assert served == []


def test_trailers_behind_an_offer_are_bounded_as_any() -> None:
    """The head that was read twice does not make room for more."""
    with running(refusing, Narrow) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + OFFERS["a web socket"] + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n")
        assert b" 401 " in until_closed(client, drip=b"x: " + b"a" * 500 + b"\r\n")
