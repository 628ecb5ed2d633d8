"""Who may go out, with what, and in which shape (semantics.md C-5, C-8, D-3, I-10)."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from gateway.errors import CredentialUnavailable, UpstreamError
from gateway.model import Mode
from gateway.testing.secrecy import MemoryVault
from tests.doorway import CANARY, REFERENCE, doorway, failure
from tests.misbehaving import reply, wire
from vault.broker import Reading
from vault.reference import Reference

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("verb", ["post", "put", "patch", "delete"])
async def test_a_preview_and_a_lookup_cannot_write(verb: str) -> None:
    """D-3, V-8: refused before a credential is asked for or a connection is made."""
    async with wire() as upstream, doorway(upstream.port) as at:
        mine = at.write(mode=Mode.PREVIEW)
        error = await failure(getattr(mine, verb)("/orders"))
        assert (error.code, error.effect, error.sent) == ("egress_blocked", "none", False)
        assert (upstream.connections, at.vault.reads, mine.wrote) == (0, 0, False)
        assert await mine.get("/orders") == {}


async def test_what_an_ended_action_left_behind_borrows_no_credential() -> None:
    """C-3, I-6: its right to a credential ends with it, and what is being lent to it meanwhile goes nowhere."""

    class SlowVault(MemoryVault):
        asked, answers = asyncio.Event(), asyncio.Event()

        async def read(self, reference: Reference) -> Reading:
            self.asked.set()
            await self.answers.wait()
            return await super().read(reference)

    vault = SlowVault({REFERENCE: CANARY})
    async with wire() as upstream, doorway(upstream.port, vault=vault) as at:
        early, late = at.write(), at.write()
        early.close()
        assert (await failure(early.post("/orders"))).code == "egress_blocked"
        assert not vault.asked.is_set()
        waiting = asyncio.create_task(failure(late.post("/orders")))
        await vault.asked.wait()
        late.close()
        vault.answers.set()
        assert (await waiting).code == "egress_blocked"
        assert (upstream.connections, late.wrote) == (0, False)


async def test_a_read_tool_cannot_write() -> None:
    """D-3: nor can a tool that was declared as a read, in whatever mode."""
    async with wire() as upstream, doorway(upstream.port) as at:
        await failure(at.read().post("/orders"))
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
        wire(reply(headers={"Set-Cookie": "sid=1; Path=/"})) as upstream,
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


async def test_a_connector_reaches_nothing_through_its_upstream() -> None:
    """C-5: no attribute of it, nor of what its attributes hold, is the door, the broker or a secret."""
    async with doorway(1) as at:
        mine = at.write()
        assert not hasattr(mine, "__dict__")
        held = [getattr(mine, name) for name in type(mine).__slots__]
        reachable = held + [getattr(value, name) for value in held for name in dir(value) if name == "__self__"]
        assert not any(value is at.door or value is at.broker or value is at.redactor for value in reachable)
        assert CANARY not in repr(held)
