"""Where a request ends, and which answer is its: said once, for whoever stands between a client and the gateway."""

from __future__ import annotations

import socket

import pytest
from starlette.types import Receive, Scope, Send

from tests.serving import running, served
from tests.shop import Shop
from tests.wire.connections import HEAD, WHOLE, answer, refusing, repeating, until_closed
from tests.wire.raw import call_body, exchange, request

INNER = b"GET /smuggled HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n"
AMBIGUOUS = (
    b"transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n",
    b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    b"transfer-encoding: identity\r\ncontent-length: 2\r\n\r\nhi",
    b"transfer-encoding: xchunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"transfer-encoding:\r\ncontent-length: 2\r\n\r\nhi",
    b"transfer-encoding : chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\ntransfer-encoding: gzip\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    b"content-length: 2\r\ncontent-length: 2\r\n\r\nhi",
    b"content-length: 2, 2\r\n\r\nhi",
    b"content-length: +2\r\n\r\nhi",
    b"content-length: 99999999999999999999\r\n\r\nhi",
    b"x: a\ncontent-length: 2\r\n\r\nhi",
    b"x: a\rcontent-length: 2\r\n\r\nhi",
    b"transfer-encoding: chunked\r\n\r\n2\nhi\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n2;a\nhi\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n2 \r\nhi\r\n0\r\n\r\n",
    b"transfer-encoding: chunked\r\n\r\n10000000000000002\r\nhi\r\n0\r\n\r\n",
    CHUNKED + b"content-length: 60\r\n\r\n",
    CHUNKED + b"transfer-encoding: chunked\r\n\r\n",
)
"""What two readers could take for bodies of different lengths."""


def test_a_body_of_doubtful_length_ends_the_connection() -> None:
    """RFC 9112, 6.3 and 11.2: it is refused, once, and what stands behind it is nobody's request."""
    with running(repeating) as port:
        for framing in AMBIGUOUS:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(HEAD + framing + INNER)
                said = until_closed(client)
            assert (said[:13], said.count(b"\r\n\r\n")) == (b"HTTP/1.1 400 ", 1), framing


@pytest.mark.parametrize("offer", [b"", b"connection: upgrade\r\nupgrade: h2c\r\n"])
def test_trailers_are_no_headers(offer: bytes) -> None:
    """RFC 9110, 6.5.1: whether or not they come with the rest, and what they name was checked before."""
    trailers = b"x-trailed: 1\r\nconnection: upgrade\r\nupgrade: h2c\r\n\r\n"
    with running(repeating) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(2):
            client.sendall(HEAD + offer + CHUNKED + trailers)
            _, told = answer(client)
            assert told.endswith(b"\ntransfer-encoding: chunked\n\nhi")
        client.sendall(WHOLE)
        assert answer(client)[1].endswith(b"\ncontent-length: 2\n\nhi")


def test_a_credential_in_a_trailer_is_none() -> None:
    """A-1: nor is anything else that a proxy would have looked at in the head."""
    gateway, body = Shop(), call_body()
    head = request(authorization="", content_length="", transfer_encoding="chunked")
    trailed = b"%x\r\n%b\r\n0\r\nauthorization: Bearer token-of-the-bot\r\n\r\n" % (len(body), body)
    with served(gateway) as port:
        assert exchange(port, head + trailed)[0] == 401
    assert gateway.calls == []


def test_who_was_refused_before_being_told_to_go_on_says_no_more() -> None:
    """RFC 9110, 10.1.1: whether the body comes or another request is anybody's guess, so that nothing is read there."""
    with running(refusing) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + b"expect: 100-continue\r\ncontent-length: %d\r\n\r\n" % len(INNER))
        said = until_closed(client)
    assert said.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in said


def test_who_was_told_to_go_on_may_stay() -> None:
    """The body that was asked for ends where it says, and another request may follow."""
    with running(repeating) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        for _ in range(2):
            client.sendall(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
            assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(b"hi")
            assert answer(client)[1].endswith(b"\n\nhi")


@pytest.mark.parametrize("version", [b"0.9", b"1.0", b"2.0"])
def test_what_is_not_spoken_in_http_1_1_is_answered_as_in_1_0(version: bytes) -> None:
    """RFC 9110, 10.1.1: such a client knows of no `100 Continue`, and its connection ends with the answer."""
    asked = b"connection: keep-alive\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\nhi"
    with running(repeating) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD.replace(b"1.1", version) + asked + INNER)
        said = until_closed(client)
    assert said.startswith(b"HTTP/1.1 200 ")
    assert said.endswith(b"\n\nhi")
    assert b"\r\nconnection: close\r\n" in said


@pytest.mark.parametrize("rest", [b"ZZ\r\n\r\n", b"2\r\nhiXX\r\n", b"2\r\nhi\r\n0\r\ncontent-length: 1\r\n\r\n"])
def test_a_request_has_one_answer_whatever_becomes_of_its_body(rest: bytes) -> None:
    """A second one would be taken for the answer to the next request."""
    with running(refusing) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n")
        assert answer(client)[0].startswith(b"HTTP/1.1 401 ")
        client.sendall(rest)
        assert until_closed(client) == b""


def test_a_body_that_breaks_before_its_answer_is_refused() -> None:
    """I-14: the app hears that the client has gone, and the client what was wrong."""
    heard: list[str] = []

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            while (message := await receive())["type"] != "http.disconnect":
                heard.append(message["type"])
            heard.append(message["type"])

    with running(waiting) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhiXX")
        assert until_closed(client).startswith(b"HTTP/1.1 400 ")
    assert heard[-1] == "http.disconnect"


@pytest.mark.parametrize("coding", [b"gzip, chunked", b"gzip\r\ntransfer-encoding: chunked"])
def test_a_body_in_a_transfer_coding_that_is_not_spoken_is_refused(coding: bytes) -> None:
    """RFC 9112, 6.1: 501; what is left of it after the chunks is not what was sent."""
    gateway, body = Shop(), call_body()
    head = request(content_length="", transfer_encoding="CODING").replace(b"CODING", coding)
    with served(gateway) as port:
        status, _, refused = exchange(port, head + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))
    assert (status, refused["error"]["code"]) == (501, -31_501)
    assert gateway.calls == []
