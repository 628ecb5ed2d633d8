"""Who may go out, with what, and in which shape (semantics.md C-5, C-8, D-3, I-10)."""

from __future__ import annotations

import asyncio
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.connector import Connector
from gateway.errors import CredentialUnavailable, StartupError, UpstreamError
from gateway.model import Mode
from gateway.outbound.egress import EgressRefused, base_of, checked_path
from gateway.testing.secrecy import MemoryVault
from tests.doorway import CANARY, REFERENCE, doorway, failure
from tests.misbehaving import hang, reply, wire

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
@pytest.mark.parametrize("changed", [{"mode": Mode.PREVIEW, "reads_only": True}, {"reads_only": True}])
async def test_a_preview_and_a_lookup_cannot_write(verb: str, changed: dict[str, Any]) -> None:
    """D-3, V-8: refused before a credential is asked for or a connection is made."""
    async with wire() as upstream, doorway(upstream.port) as at:
        mine = at.write(**changed)
        error = await failure(getattr(mine, verb)("/orders"))
        assert (error.code, error.effect, error.sent) == ("egress_blocked", "none", False)
        assert (upstream.connections, at.vault.reads, mine.wrote) == (0, 0, False)
        assert await mine.get("/orders") == {}


async def test_a_preview_permit_reads_only_even_when_it_does_not_say_so() -> None:
    """D-3: a preview's mode alone is enough."""
    async with wire() as upstream, doorway(upstream.port) as at:
        await failure(at.write(mode=Mode.PREVIEW, reads_only=False).post("/orders"))
        assert upstream.connections == 0


async def test_a_read_tool_cannot_write() -> None:
    """D-3: nor can a tool that was declared as a read, whatever its permit says."""
    async with wire() as upstream, doorway(upstream.port) as at:
        await failure(at.read(reads_only=False).post("/orders"))
        assert upstream.connections == 0


async def test_a_permit_that_was_not_minted_here_opens_nothing() -> None:
    """No ledger line, no permit; no permit, no upstream."""
    async with doorway(1) as at:
        forged = replace(at.permit(at.writing), credential="kv/other/secret#token")
        with pytest.raises(UpstreamError, match="not minted") as caught:
            at.door.open(at.writing, forged, deadline=0)
        assert caught.value.code == "egress_blocked"


async def test_a_permit_of_another_tool_opens_nothing() -> None:
    """A permit is for one tool."""
    async with doorway(1) as at:
        with pytest.raises(UpstreamError, match="shop_look, not for shop_order"):
            at.door.open(at.writing, at.permit(at.reading), deadline=0)


async def test_a_request_stands_on_the_wire_as_it_was_meant() -> None:
    """C-5, I-10: the credential, the upstream's key, the etag and strict JSON, and nothing that was not asked for."""
    async with wire() as upstream, doorway(upstream.port, idempotency_header="Idempotency-Key") as at:
        await at.write().put("/orders/a%20b;v=1/x@y'(z)!", {"né": [1, True, None]}, if_match='"7"')
        (arrival,) = upstream.arrivals
        assert (arrival.method, arrival.target) == ("PUT", "/v1/orders/a%20b;v=1/x@y'(z)!")
        assert arrival.body == '{"né":[1,true,null]}'.encode()
        assert arrival.headers == {
            "host": f"127.0.0.1:{upstream.port}",
            "accept": "application/json",
            "accept-encoding": "identity",
            "user-agent": "holdgate",
            "content-type": "application/json",
            "content-length": str(len(arrival.body)),
            "if-match": '"7"',
            "idempotency-key": "key-of-this-action",
            "authorization": f"Bearer {CANARY}",
        }


async def test_a_credential_may_have_a_header_of_its_own() -> None:
    """`auth` names the header; then there is no Authorization."""
    async with wire() as upstream, doorway(upstream.port, auth="X-Api-Key") as at:
        await at.read().get("/orders", {"q": "a b&c=d/é", "open": True, "n": 3})
        (arrival,) = upstream.arrivals
        assert arrival.headers["x-api-key"] == CANARY
        assert "authorization" not in arrival.headers
        assert arrival.target == "/v1/orders?q=a%20b%26c%3Dd%2F%C3%A9&open=true&n=3"


async def test_a_read_carries_no_idempotency_key() -> None:
    """I-10: the key belongs to writes."""
    async with wire() as upstream, doorway(upstream.port, idempotency_header="Idempotency-Key") as at:
        await at.write().get("/orders")
        assert "idempotency-key" not in upstream.arrivals[0].headers


async def test_a_second_write_of_an_action_has_a_key_of_its_own() -> None:
    """I-10: an upstream that honours keys would answer it with the first one's result."""
    async with wire() as upstream, doorway(upstream.port, idempotency_header="Idempotency-Key") as at:
        mine = at.write()
        await mine.post("/orders")
        await mine.post("/orders/1/lines")
        keys = [arrival.headers["idempotency-key"] for arrival in upstream.arrivals]
        assert keys == ["key-of-this-action", "key-of-this-action-2"]
        assert mine.reference == "key-of-this-action"
        assert (mine.wrote, mine.acknowledged) == (True, True)


async def test_cookies_are_not_kept() -> None:
    """C-8: an upstream cannot tie one principal's calls to another's."""
    async with (
        wire(reply(Set_Cookie="sid=1; Path=/")) as upstream,
        doorway(0, base_url=f"http://localhost:{upstream.port}") as at,
    ):
        await at.read().get("/orders")
        await at.read().get("/orders")
        assert "cookie" not in upstream.arrivals[1].headers


async def test_a_proxy_in_the_environment_is_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """C-8: trust_env is off; the connection goes where it was checked to go."""
    async with wire() as proxy, wire() as upstream, doorway(upstream.port) as at:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        await at.read().get("/orders")
        assert (proxy.connections, len(upstream.arrivals)) == (0, 1)


async def test_an_upstream_without_a_credential_gets_none() -> None:
    """A connector may need no credential."""
    async with wire() as upstream, doorway(upstream.port, credential=None) as at:
        await at.read().get("/orders")
        assert "authorization" not in upstream.arrivals[0].headers


async def test_without_a_credential_nothing_goes_out() -> None:
    """C-3, S32: a vault that has nothing to lend fails closed."""
    async with wire() as upstream, doorway(upstream.port, vault=MemoryVault({})) as at:
        mine = at.write()
        with pytest.raises(CredentialUnavailable):
            await mine.post("/orders")
        assert (upstream.connections, mine.wrote) == (0, False)


async def test_a_refused_credential_is_read_anew_for_the_next_call() -> None:
    """C-3: a 401 invalidates; a rotated credential is picked up without waiting for the cache."""
    async with wire(reply(401), reply()) as upstream, doorway(upstream.port) as at:
        assert (await failure(at.write().post("/orders"))).status == 401
        at.vault.values[REFERENCE] = "rotated-credential-2"
        await at.write().post("/orders")
        assert upstream.arrivals[1].headers["authorization"] == "Bearer rotated-credential-2"
        assert at.vault.reads == 2


PATHS = [
    "",
    "orders",
    "/",
    "//other.host/x",
    "/orders/",
    "/orders//1",
    "/orders/./1",
    "/orders/../admin",
    "/..",
    "/orders/..;v=1/admin",
    "/orders/;v=1",
    "/orders/%2e%2e/admin",
    "/orders/.%2E/admin",
    "/orders%2fadmin",
    "/orders%5cadmin",
    "/orders%00",
    "/orders%0d%0ax",
    "/orders%252e",
    "/orders%zz",
    "/orders%2",
    "/orders?all=1",
    "/orders#x",
    "/orders\\admin",
    "/orders\r\nHost: other",
    "/orders 1",
    "/ordérs",
    "http://other.host/x",
    "/@other.host:1/../x",
    "/a" * 4_001,
]


@pytest.mark.parametrize("path", PATHS)
async def test_a_path_that_could_lead_elsewhere_is_refused(path: str) -> None:
    """C-8: agents supply path parameters only, and none of them can change the path's structure."""
    async with wire() as upstream, doorway(upstream.port) as at:
        error = await failure(at.write().delete(path))
        assert (error.code, error.effect, error.sent) == ("egress_blocked", "none", False)
        assert (upstream.connections, at.vault.reads) == (0, 0)


@pytest.mark.parametrize("path", ["/a", "/a/b.c", "/a..b", "/...", "/v1:run", "/a%C3%A9", "/~u/$x,y=z&w+v*"])
def test_an_ordinary_path_passes_unchanged(path: str) -> None:
    """C-8: the rule costs no legitimate path."""
    assert checked_path(path) == path


@given(
    st.lists(st.sampled_from(["/", ".", ";", "a", "%2F", "%2e", "%5c", "%25", "%7F", "%C3", "%", "é", " ", "\n"])).map(
        "".join
    )
)
def test_a_path_passes_when_each_of_its_segments_does(path: str) -> None:
    """C-8: none is empty, or dots, or holds what is not allowed in one; read segment by segment."""
    first, *segments = path.split("/")
    good = all(
        re.fullmatch(r"(?:[a.;]|%2F|%2e|%5c|%25|%7F|%C3)+", segment)
        and segment.split(";")[0] not in ("", ".", "..")
        and not re.search("%(2F|2e|5c|25|7F)", segment)
        for segment in segments
    )
    try:
        passed = checked_path(path) == path
    except EgressRefused:
        passed = False
    assert passed == (first == "" and bool(segments) and good)


@pytest.mark.parametrize("body", [float("nan"), float("inf"), {1, 2}, b"x", "\ud800", {"a": object()}])
async def test_a_body_that_is_not_plain_json_is_not_sent(body: object) -> None:
    """I-5: what another parser might read differently does not leave."""
    async with wire() as upstream, doorway(upstream.port) as at:
        assert (await failure(at.write().post("/orders", body))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize("etag", ["", '"1"\r\nX-Admin: 1', "é", "a" * 300, " x"])
async def test_an_etag_cannot_smuggle_a_header(etag: str) -> None:
    """C-8: a header's value is one line of printable ASCII."""
    async with wire() as upstream, doorway(upstream.port) as at:
        assert (await failure(at.write().put("/orders/1", {}, if_match=etag))).code == "egress_blocked"
        assert upstream.connections == 0


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "https://",
        "https:///x",
        "http://api.example",
        "ftp://api.example",
        "https://user:pass@api.example",
        "https://api.example?x=1",
        "https://api.example/#x",
        "https://api.example:x",
        "https://api.exa mple",
        "https://api.example/v1/../v2",
        "https://127.0.0.1",
        "https://10.0.0.1",
        "https://169.254.169.254",
        "https://[::1]",
        "https://[::ffff:127.0.0.1]",
        "https://2130706433",
        "https://127.1",
        "https://0177.0.0.1",
        "https://[::zz]",
    ],
)
def test_a_base_url_that_cannot_be_trusted_stops_the_start(base_url: str) -> None:
    """C-8: https, a host, no user info, no query, no private address."""
    with pytest.raises(StartupError):
        base_of(Connector("shop", base_url=base_url))


@pytest.mark.parametrize("named", [{"auth": "Host"}, {"auth": "X Key"}, {"idempotency_header": "Content-Length"}])
def test_a_header_that_frames_the_request_cannot_be_named(named: dict[str, str]) -> None:
    """C-5: a credential never goes where it would change what the request says."""
    with pytest.raises(StartupError, match="cannot set"):
        base_of(Connector("shop", base_url="https://api.example", **named))  # type: ignore[arg-type]


def test_a_base_url_loses_its_last_slash() -> None:
    """Paths start with one."""
    assert base_of(Connector("shop", base_url="https://api.example/v1/")) == "https://api.example/v1"


async def test_a_full_upstream_is_not_sent_to() -> None:
    """R-4: waiting for a free place counts against the deadline, and nothing was sent."""
    async with wire(hang) as upstream, doorway(upstream.port, max_concurrent=1) as at:
        first = asyncio.create_task(failure(at.write(seconds=20).post("/orders")))
        await upstream.arrived.wait()
        waiting = at.write(seconds=0.2)
        error = await failure(waiting.post("/orders"))
        assert (error.code, error.effect, error.sent) == ("upstream_unreachable", "none", False)
        assert len(upstream.arrivals) == 1
        assert not waiting.wrote
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        upstream.acts[:] = [reply()]
        assert await at.write().post("/orders") == {}


async def test_calls_beyond_the_rate_wait_for_their_turn() -> None:
    """R-4: `calls_per_second` smooths; what cannot have its turn in time is not sent."""
    async with wire() as upstream, doorway(upstream.port, calls_per_second=0.01) as at:
        await at.write().post("/orders")
        error = await failure(at.write(seconds=0.2).post("/orders"))
        assert (error.effect, error.sent) == ("none", False)
        assert len(upstream.arrivals) == 1


async def test_a_file_comes_as_it_is_through_the_same_door() -> None:
    """C-5, C-6, D-3: bytes, asked for with the credential, which is taken out of them; a preview may read it."""
    png = b"\x89PNG\r\n\x1a\n\x00\xff"
    async with wire(reply(200, png)) as upstream, doorway(upstream.port) as at:
        assert await at.read().download("/scans/1", {"page": 2}) == png
        assert await at.write(mode=Mode.PREVIEW, reads_only=True).download("/scans/1") == png
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


async def test_a_deadline_that_has_passed_sends_nothing() -> None:
    """R-8: too little time left fails before anything leaves."""
    async with wire() as upstream, doorway(upstream.port) as at:
        error = await failure(at.write(seconds=-1).post("/orders"))
        assert (error.effect, error.sent) == ("none", False)
        assert upstream.connections == 0
        await at.read().get("/orders")
        error = await failure(at.write(seconds=-1).post("/orders"))
        assert (error.effect, error.sent) == ("none", False), "nor over a connection that is there already"
        assert len(upstream.arrivals) == 1


async def test_a_connector_reaches_nothing_through_its_upstream() -> None:
    """C-5: no attribute of it, nor of what its attributes hold, is the door, the broker or a secret."""
    async with doorway(1) as at:
        mine = at.write()
        assert not hasattr(mine, "__dict__")
        held = [getattr(mine, name) for name in type(mine).__slots__]
        reachable = held + [getattr(value, name) for value in held for name in dir(value) if name == "__self__"]
        assert not any(value is at.door or value is at.broker or value is at.redactor for value in reachable)
        assert CANARY not in repr(held)


def test_a_refusal_repeats_no_argument() -> None:
    """C-6: a path may hold a customer's data; what refuses it does not say it again."""
    with pytest.raises(EgressRefused) as caught:
        checked_path("/customers/jane doe")
    assert "jane" not in str(caught.value)
