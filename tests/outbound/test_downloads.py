"""Files of the system of record, as they are and bounded, through the same door as JSON."""

from __future__ import annotations

import asyncio

import pytest

from gateway.model import Mode
from tests.doorway import CANARY, doorway, failure
from tests.misbehaving import reply, wire

pytestmark = pytest.mark.anyio


async def test_a_file_comes_as_it_is_through_the_same_door() -> None:
    """C-5, C-6, D-3: bytes, asked for with the credential, which is taken out of them; a preview may read it."""
    png = b"\x89PNG\r\n\x1a\n\x00\xff"
    async with wire(reply(200, png)) as upstream, doorway(upstream.port) as at:
        assert await at.read().download("/scans/1", {"page": 2}) == png
        assert await at.write(mode=Mode.PREVIEW).download("/scans/1") == png
        asked = upstream.arrivals[0]
        assert (asked.method, asked.target, asked.headers["accept"]) == ("GET", "/v1/scans/1?page=2", "*/*")
        assert asked.headers["authorization"] == f"Bearer {CANARY}"
        upstream.acts[:] = [reply(200, b"\x00" + CANARY.encode() + png)]
        assert CANARY.encode() not in await at.read().download("/scans/1")


async def test_a_file_that_is_too_large_or_missing_fails_like_any_read() -> None:
    """I-7, T-4: a limit in bytes, and the upstream's own no."""
    async with wire(reply(200, b"x" * (1 << 20))) as upstream, doorway(upstream.port) as at:
        assert len(await at.read().download("/scans/1")) == 1 << 20
        upstream.acts[:] = [reply(200, b"x" * ((1 << 20) + 1))]
        assert (await failure(at.read().download("/scans/1"))).code == "upstream_bad_answer"
        upstream.acts[:] = [reply(404, b"no such scan")]
        assert (await failure(at.read().download("/scans/1"))).code == "upstream_rejected"


async def test_a_body_of_no_announced_length_is_bounded_as_it_arrives() -> None:
    """C-8: an answer in chunks is read up to the bound and no further, whoever sends it and however long."""

    async def in_chunks(writer: asyncio.StreamWriter) -> bool:
        piece = b"x" * (1 << 18)
        chunks = (b"%x\r\n" % len(piece) + piece + b"\r\n") * 5
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n")
        return True

    async with wire(in_chunks) as upstream, doorway(upstream.port) as at:
        error = await failure(at.read().download("/scans/1"))
        assert (error.code, "larger than 1048576 bytes" in str(error)) == ("upstream_bad_answer", True)
