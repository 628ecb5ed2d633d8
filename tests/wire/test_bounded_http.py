"""What a client without a key may leave unfinished: little, and not for long."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import pytest
from starlette.types import Receive, Scope, Send

from gateway.bounded_http import BoundedHttp
from tests.serving import running
from tests.wire.connections import HEAD, WHOLE, Narrow, answer, refusing, until_closed


class Hasty(BoundedHttp):
    """The same patience, sooner over."""

    head_seconds = 0.2


class Recorder:
    """A transport that keeps what each write to it was."""

    def __init__(self, transport: asyncio.Transport, writes: list[bytes]) -> None:
        self._transport = transport
        self._writes = writes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        self._writes.append(data)
        self._transport.write(data)

    def writelines(self, parts: Iterable[bytes]) -> None:
        whole = b"".join(parts)
        self._writes.append(whole)
        self._transport.write(whole)


class Recorded(BoundedHttp):
    """The same, on such a transport."""

    writes: ClassVar[list[bytes]] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(Recorder(transport, self.writes))  # type: ignore[arg-type] # all that it is asked for


@pytest.fixture
def client(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    with (
        running(refusing, request.param) as port,
        socket.create_connection(("127.0.0.1", port), timeout=10) as connection,
    ):
        yield connection


hasty = pytest.mark.parametrize("client", [Hasty], indirect=True)
recorded = pytest.mark.parametrize("client", [Recorded], indirect=True)
narrow = pytest.mark.parametrize("client", [Narrow], indirect=True)


@hasty
def test_who_says_nothing_is_let_go(client: socket.socket) -> None:
    """A connection without a request is closed by the server."""
    assert until_closed(client) == b""


@hasty
def test_a_head_that_drips_in_is_not_waited_for(client: socket.socket) -> None:
    """The time counts to the head's end, whatever comes in between."""
    client.sendall(HEAD + b"x: ")
    assert until_closed(client, drip=b"a") == b""


@narrow
def test_a_head_without_an_end_is_not_collected(client: socket.socket) -> None:
    """Beyond its bytes a head is refused, in one header or in many, before the application hears of it."""
    client.sendall(HEAD + b"x: a\r\n" * 500)
    assert until_closed(client).startswith(b"HTTP/1.1 431 ")


@narrow
def test_trailers_without_an_end_are_not_collected(client: socket.socket) -> None:
    """What follows a chunked body counts as what stands before it."""
    client.sendall(HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n")
    assert b" 401 " in until_closed(client, drip=b"x: " + b"a" * 500 + b"\r\n")


@pytest.mark.parametrize("drip", [b"\r\n", b"P"], ids=["blank lines", "half a request"])
@hasty
def test_an_answer_is_no_licence_to_stay(client: socket.socket, drip: bytes) -> None:
    """After its answer a client has the same time for the next head."""
    client.sendall(WHOLE)
    assert until_closed(client, drip=drip).startswith(b"HTTP/1.1 401 ")


@hasty
def test_a_body_that_goes_on_after_the_answer_is_not_waited_for(client: socket.socket) -> None:
    """Who was refused before its body was read does not hold the connection with it."""
    client.sendall(HEAD + b"content-length: 1000000\r\n\r\n")
    assert until_closed(client, drip=b"a").startswith(b"HTTP/1.1 401 ")


@narrow
def test_requests_that_come_one_after_another_are_all_answered(client: socket.socket) -> None:
    """A body is no head, and each request counts anew: much may be said on one connection."""
    for _ in range(3):
        client.sendall(HEAD + b"content-length: 1000000\r\n\r\n" + b"a" * 1_000_000)
        assert client.recv(65_536).startswith(b"HTTP/1.1 401 ")
    for _ in range(100):
        client.sendall(WHOLE)
        assert client.recv(65_536).startswith(b"HTTP/1.1 401 ")


def test_who_sends_on_before_the_answer_is_still_seen_to_hang_up() -> None:
    """I-15: a second request, or anything else, does not make a client that has gone look as if it were there."""
    begun, gone = threading.Event(), threading.Event()

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await receive()
            begun.set()
            assert (await receive())["type"] == "http.disconnect"
            gone.set()

    for more in (WHOLE, b"no HTTP"):
        with running(waiting) as port:
            with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
                client.sendall(WHOLE)
                assert begun.wait(10)
                client.sendall(more)
            assert gone.wait(10)
        begun.clear()
        gone.clear()


def test_an_answer_under_way_goes_out_whole_and_ends_the_connection() -> None:
    """What comes before an answer is not read, and nothing is put into the answer for it."""
    begun, proceed = threading.Event(), threading.Event()
    served = 0

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal served
        if scope["type"] == "http":
            await receive()
            served += 1
            begun.set()
            await asyncio.to_thread(proceed.wait, 10)
            await refusing(scope, receive, send)

    for more in (WHOLE, b"no HTTP"):
        with running(slow) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(WHOLE)
            assert begun.wait(10)
            client.sendall(more)
            proceed.set()
            said = until_closed(client)
            assert (said[:13], said[-6:], said.count(b"HTTP/1.1")) == (b"HTTP/1.1 401 ", b"\r\n\r\nno", 1)
        begun.clear()
        proceed.clear()
    assert served == 2


@recorded
def test_an_answer_comes_in_one_piece(client: socket.socket) -> None:
    """Its head does not go before it, whatever the system would make of two writes: who waits is woken once."""
    Recorded.writes.clear()
    for _ in range(3):
        client.sendall(WHOLE)
        said = b""
        while not said.endswith(b"\r\n\r\nno"):
            said += client.recv(65_536)
        assert said.startswith(b"HTTP/1.1 401 ")
        assert Recorded.writes.pop() == said
    assert Recorded.writes == []


def test_the_head_of_an_answer_does_not_wait_for_a_body_that_takes_long() -> None:
    """A stream of events is seen to have begun before its first event."""
    proceed = threading.Event()

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            for part in (b"on", b"e."):
                await asyncio.to_thread(proceed.wait, 10)
                await send({"type": "http.response.body", "body": part, "more_body": part == b"on"})

    with running(streaming) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(WHOLE)
        head = client.recv(65_536)
        assert head.startswith(b"HTTP/1.1 200 ")
        assert head.endswith(b"\r\n\r\n")
        proceed.set()
        assert client.recv(2) + client.recv(2) == b"one."


def test_an_answer_without_a_body_is_sent() -> None:
    """Whether the connection stays or ends with it: there is nothing else to send its head with."""
    for request, ends in ((b"HEAD / HTTP/1.1\r\n\r\n", False), (b"HEAD / HTTP/1.0\r\n\r\n", True)):
        with running(refusing) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(request)
            said = until_closed(client) if ends else client.recv(65_536)
            assert said.startswith(b"HTTP/1.1 401 ")
            assert said.endswith(b"\r\n\r\n")


def test_a_client_that_asks_before_it_sends_is_told_to_go_on() -> None:
    """`Expect: 100-continue` is answered at once: the body comes only after it."""

    async def reading(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            assert (await receive())["body"] == b"hi"
            await refusing(scope, receive, send)

    with running(reading) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(HEAD + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\n")
        assert client.recv(65_536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hi")
        assert client.recv(13) == b"HTTP/1.1 401 "


@pytest.mark.parametrize(
    ("request_", "status", "says"),
    [
        (b"no HTTP\r\n\r\n", 400, "Invalid method"),
        (HEAD + b"x y: 1\r\n\r\n", 400, "Invalid header token"),
        (b"GET nowhere HTTP/1.1\r\n\r\n", 400, "HTTP/1.1"),
        (b"CONNECT a:80 HTTP/1.1\r\nhost: a\r\n\r\n", 400, "CONNECT"),
        (HEAD + b"x: " + b"a" * 70_000, 431, "65536 bytes"),
    ],
)
def test_what_cannot_be_read_is_refused_as_json(request_: bytes, status: int, says: str) -> None:
    """I-14: whoever reads the answer finds an error as from anywhere else here, with a code of its status."""
    with running(refusing) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(request_)
        head, body = answer(client)
        assert until_closed(client) == b""
    error = json.loads(body)["error"]
    assert (head[:12], error["code"]) == (b"HTTP/1.1 %d" % status, -31_000 - status)
    assert b"\r\ncontent-type: application/json\r\n" in head
    assert says in error["message"]


def test_an_answer_to_http_1_0_has_no_chunks() -> None:
    """RFC 9112, 6.1: one whose length is not said ends with its connection; one whose length is said has that."""

    async def streaming(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            length = [(b"content-length", b"6")] if scope["path"] == "/said" else []
            await send({"type": "http.response.start", "status": 200, "headers": length})
            for part in (b"one", b"", b"two"):
                await send({"type": "http.response.body", "body": part, "more_body": part != b"two"})

    for path in (b"/said", b"/unsaid"):
        with running(streaming) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as client:
            client.sendall(b"GET " + path + b" HTTP/1.0\r\nconnection: keep-alive\r\n\r\n")
            head, _, body = until_closed(client).partition(b"\r\n\r\n")
        assert body == b"onetwo"
        assert b"transfer-encoding" not in head
        assert b"\r\nconnection: close" in head
        assert (b"\r\ncontent-length: 6" in head) is (path == b"/said")
