"""The credential reaches the upstream, and nobody else (semantics.md C-5, C-6, V-6, S29, S31)."""

from __future__ import annotations

import asyncio
import html
import json
import traceback
from base64 import b64encode
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from gateway.outbound.engine import AiohttpEngine
from gateway.testing.secrecy import MemoryVault, disguises
from tests.doorway import CANARY, REFERENCE, doorway, soon
from tests.misbehaving import Act, close, hang, reply, reset, say, wire

pytestmark = pytest.mark.anyio

SPELLINGS = [
    *disguises(CANARY),
    b64encode(f"Bearer {CANARY}".encode()).decode()[12:-4],
]


def assert_clean(where: str, text: str) -> None:
    """No spelling of the canary stands in `text`."""
    for spelling in SPELLINGS:
        assert spelling not in text, f"{spelling} in {where}"


def everything_of(error: BaseException) -> str:
    """All that a crash reporter could print: texts, reprs, and our frames' locals, through causes and contexts."""
    shown = []
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        queue += [current.__cause__, current.__context__]
        frames = current.__traceback__
        while frames is not None and Path(frames.tb_frame.f_code.co_filename).parent == Path(__file__).parent:
            frames = frames.tb_next  # the test's own, which knows the canary
        report = traceback.TracebackException(type(current), current, frames, capture_locals=True)
        report.__cause__ = report.__context__ = None  # each is shown on its own
        shown += [str(current), repr(current), repr(vars(current)), "".join(report.format())]
        while frames is not None:
            shown += [f"{value!r} {getattr(value, '__dict__', '')!r}" for value in frames.tb_frame.f_locals.values()]
            frames = frames.tb_next
    return "\n".join(shown)


async def outcome(doing: Awaitable[Any]) -> object:
    """What it returned, or raised."""
    try:
        return await doing
    except Exception as error:  # noqa: BLE001 - whatever it is, it must not hold the canary
        return error


ANSWERS: dict[str, Act] = {
    "closed": close,
    "reset": reset,
    "garbage that repeats the header": say(f"HTTP/1.1 Authorization: Bearer {CANARY}\r\n\r\n".encode()),
    "never": hang,
    "echoed as text in a refusal": reply(400, f"Bad token {CANARY}"),
    "echoed apart in a refusal": reply(400, "Bad token " + "\x00".join(CANARY)),
    "echoed between bytes that are no text": reply(400, b"Bad " + b"\xff".join(c.encode() for c in CANARY)),
    "echoed in a refusal, cut by its length": reply(400, "x" * 190 + CANARY),
    "echoed in a failure": reply(500, CANARY),
    "echoed in JSON": reply(200, json.dumps({"headers": {"authorization": f"Bearer {CANARY}"}})),
    "echoed in JSON escapes": reply(200, '{"a":"' + "".join(f"\\u{ord(c):04x}" for c in CANARY) + '"}'),
    "echoed in percent codes": reply(200, json.dumps({"url": f"/?t={quote(CANARY, safe='')}"})),
    "echoed in base64": reply(200, json.dumps({"basic": b64encode(f"me:{CANARY}:x".encode()).decode()})),
    "echoed in HTML": reply(400, json.dumps({"message": html.escape(CANARY)})),
    "echoed in hex": reply(200, json.dumps({"hex": CANARY.encode().hex()})),
    "echoed where JSON breaks": reply(200, f'{{"a": {CANARY}'),
    "echoed in the header of a redirect": reply(
        302, headers={"Location": f"https://evil.example/?t={quote(CANARY, safe='')}"}
    ),
    "echoed as Retry-After": reply(429, headers={"Retry-After": CANARY}),
}


SENT = {
    "bearer": ("authorization", f"Bearer {CANARY}"),
    "basic": ("authorization", f"Basic {b64encode(f'me:{CANARY}'.encode()).decode()}"),
    "X-Api-Key": ("x-api-key", CANARY),
}


@pytest.mark.parametrize("auth", SENT)
@pytest.mark.parametrize("how", ANSWERS)
async def test_the_credential_shows_nowhere_but_at_the_upstream(how: str, auth: str) -> None:
    """C-5, C-6, V-6: not in results, exceptions with all their frames, or logs; in no encoding."""
    vault = MemoryVault({REFERENCE: f"me:{CANARY}" if auth == "basic" else CANARY})
    async with wire(ANSWERS[how]) as upstream, doorway(upstream.port, auth=auth, vault=vault) as at:
        ended = await outcome(at.write(seconds=0.5 if ANSWERS[how] is hang else 3.0).post("/orders", {"n": 1}))
        name, value = SENT[auth]
        assert upstream.arrivals[0].headers[name] == value
        assert_clean("the outcome", repr(ended))
        if isinstance(ended, BaseException):
            assert_clean("the exception", everything_of(ended))
        assert_clean("the log", "\n".join(at.logged))
        echoed = [line for line in at.logged if "upstream_echoed_credential" in line]
        assert len(echoed) == (1 if "echoed" in how and "header" not in how and "Retry" not in how else 0)


async def test_an_echo_is_taken_out_and_the_rest_of_the_answer_stays() -> None:
    """S31: replaced, flagged, and the connector never sees it."""
    body = {"id": "ord_1", "debug": f"Bearer {CANARY}"}
    async with wire(reply(200, json.dumps(body))) as upstream, doorway(upstream.port) as at:
        assert await at.write().post("/orders") == {"id": "ord_1", "debug": "Bearer [redacted]"}
        (line,) = [line for line in at.logged if "upstream_echoed_credential" in line]
        assert "shop_order" in line
        assert at.permit(at.writing).action_id in line


async def test_an_echo_that_arrives_in_pieces_is_taken_out() -> None:
    """S31: split over two packets and two chunks."""
    half = len(CANARY) // 2
    pieces = [f'{{"a":"{CANARY[:half]}'.encode(), f'{CANARY[half:]}"}}'.encode()]

    async def in_pieces(writer: asyncio.StreamWriter) -> bool:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for piece in pieces:
            writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            await writer.drain()
        writer.write(b"0\r\n\r\n")
        return True

    async with wire(in_pieces) as upstream, doorway(upstream.port) as at:
        assert await at.write().post("/orders") == {"a": "[redacted]"}


async def test_a_refusal_is_looked_through_once_more_when_it_was_parsed() -> None:
    """S31: escapes piled higher than the first look goes; the message to the agent is looked at again."""
    piled = "".join(f"\\u{ord(character):04x}" for character in CANARY)
    for _ in range(2):
        piled = json.dumps(piled)[1:-1]
    async with wire(reply(400, json.dumps({"message": piled}))) as upstream, doorway(upstream.port) as at:
        ended = await outcome(at.write().post("/orders"))
        assert str(ended) == 'The system of record answered 400 and said: "[redacted]"'


@pytest.mark.parametrize("act", [close, reset, hang, say(b"SSH-2.0\r\n\r\n")])
async def test_the_engine_hands_on_no_frame_that_holds_the_signature(act: Act) -> None:
    """C-5: neither its own exception nor any it hangs on, whoever else may call it."""
    async with wire(act) as upstream:
        engine = AiohttpEngine(f"http://127.0.0.1:{upstream.port}", internal=True)
        with await engine.connect(deadline=soon()) as exchange:
            sending = engine.send(exchange, "POST", "/", [("X-Api-Key", CANARY)], b"{}", deadline=soon(0.3))
            ended = await outcome(sending)
        assert isinstance(ended, httpx.TransportError)
        assert_clean("the engine's exception", everything_of(ended))
        await engine.aclose()


async def test_a_cancelled_call_leaves_no_credential_in_its_frames() -> None:
    """C-5: a disconnect in the middle of a request is an exception as well."""
    async with wire(hang) as upstream, doorway(upstream.port, auth="X-Api-Key") as at:
        task = asyncio.create_task(at.write().post("/orders"))
        await upstream.arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError) as caught:
            await task
        assert_clean("the cancellation", everything_of(caught.value))


@pytest.mark.parametrize("auth", ["bearer", "X-Api-Key"])
async def test_a_redirect_takes_no_credential_along(auth: str) -> None:
    """S29, F-5: the other host is not even connected to."""
    async with (
        wire() as evil,
        wire(reply(307, headers={"Location": f"http://localhost:{evil.port}/"})) as upstream,
        doorway(upstream.port, auth=auth) as at,
    ):
        for doing in (at.read().get("/orders"), at.write().post("/orders")):
            await outcome(doing)
        assert (len(upstream.arrivals), evil.connections, evil.arrivals) == (2, 0, [])
