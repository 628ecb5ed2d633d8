"""The engine alone: one request on the wire, and the answers that HTTP allows (docs/decisions/0002)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.outbound.engine import AiohttpEngine
from gateway.outbound.exchange import NOT_SENT, BodyRefused, Response
from tests.doorway import sent, soon
from tests.misbehaving import Wire, reply, say, say_and_hang, wire

pytestmark = pytest.mark.anyio

LARGER_THAN_ANY_SOCKET_BUFFER = bytes(32 * 1024 * 1024)
LONGEST = 2 * 1024 * 1024
"""Bytes that an answer may have here: more than the connection holds ready."""


@asynccontextmanager
async def engine(upstream: Wire) -> AsyncIterator[AiohttpEngine]:
    """One for `upstream`."""
    made = AiohttpEngine(f"http://127.0.0.1:{upstream.port}/v1", internal=True, max_body=LONGEST)
    try:
        yield made
    finally:
        await made.aclose()


async def get(at: AiohttpEngine, path: str = "/orders") -> Response:
    """What a GET is answered with."""
    return await sent(at, "GET", path, [], b"", deadline=soon())


@pytest.mark.parametrize(
    ("raw", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 1),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", 1),
        (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 1),
        (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 1),
        (b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nhi", 2),
        (b"HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nhi", 2),
    ],
)
async def test_an_answer_is_whole_whatever_frames_it(raw: bytes, connections: int) -> None:
    """And its connection is used again, unless the upstream said that it may not be."""
    async with wire(say(raw, keep=True)) as upstream, engine(upstream) as at:
        for _ in range(2):
            assert await get(at) == Response(200, None, b"hi")
        assert (len(upstream.arrivals), upstream.connections) == (2, connections)


async def test_an_answer_may_end_with_its_connection() -> None:
    """One that declares no length."""
    async with wire(say(b"HTTP/1.1 200 OK\r\n\r\nhi")) as upstream, engine(upstream) as at:
        assert await get(at) == Response(200, None, b"hi")


async def test_a_large_answer_comes_in_one_piece() -> None:
    """More of it than is read at once, and than the connection holds ready."""
    body = b"x" * LONGEST
    async with wire(reply(200, body)) as upstream, engine(upstream) as at:
        assert (await get(at)).body == body
        assert (await get(at)).body == body
        assert upstream.connections == 1


async def test_an_answer_that_announces_too_much_is_not_waited_for() -> None:
    """Its length is enough to refuse it; the rest of it cannot be taken for the next answer."""
    announced = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (LONGEST + 1)
    async with wire(say_and_hang(announced), reply()) as upstream, engine(upstream) as at:
        assert isinstance((await get(at)).body, BodyRefused)
        assert (await get(at)).body == b"{}"
        assert upstream.connections == 2


async def test_a_connection_that_still_has_something_to_send_is_not_used_again() -> None:
    """An upstream that answered before it had read everything may never read the rest."""
    early = say_and_hang(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
    async with wire(on_accept=early) as upstream, engine(upstream) as at:
        for connections in (1, 2):
            answer = await sent(at, "POST", "/", [], LARGER_THAN_ANY_SOCKET_BUFFER, deadline=soon())
            assert answer == Response(200, None, b"{}")
            assert upstream.connections == connections


async def test_a_connection_that_speaks_something_else_is_not_used_again() -> None:
    """I-7: whatever follows an upgrade that nobody asked for is not the answer to the next request."""
    switched = say(b"HTTP/1.1 101 Switching Protocols\r\n\r\n", keep=True)
    async with wire(switched, reply()) as upstream, engine(upstream) as at:
        assert (await get(at)).status == 101
        assert (await get(at)).body == b"{}"
        assert upstream.connections == 2


async def test_a_connection_that_was_given_up_is_not_used_again() -> None:
    """The answer that comes too late would be the next request's (I-7)."""
    async with wire(say_and_hang(b""), reply()) as upstream, engine(upstream) as at:
        first = asyncio.create_task(get(at))
        await upstream.arrived.wait()
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        assert (await get(at)).body == b"{}"
        assert upstream.connections == 2


@pytest.mark.parametrize("unfit", ["a\r\nX-Admin: 1", "a\nb", "a\x00b", "é"])
async def test_what_would_not_stay_on_its_line_is_not_sent(unfit: str) -> None:
    """C-5: the door checks what it is given; the engine does not rely on it."""
    async with wire() as upstream, engine(upstream) as at:
        for path, headers in ((f"/{unfit}", []), ("/", [("X-Note", unfit)]), ("/", [(unfit, "1")])):
            with pytest.raises(httpx.ConnectError) as caught:
                await sent(at, "GET", path, headers, b"", deadline=soon())
            assert isinstance(caught.value, NOT_SENT)
        assert upstream.arrivals == []
