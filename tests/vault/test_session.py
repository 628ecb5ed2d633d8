"""The gateway signs in to a real OpenBao, and stays signed in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from gateway.errors import CredentialUnavailable
from gateway.testing.driver import PATIENCE
from tests.services import OpenBao, eventually
from tests.vault.conftest import approle, at, opened
from vault.hashicorp import AppRoleAuth, HashicorpVault, TokenAuth
from vault.secret import Secret

pytestmark = pytest.mark.anyio


async def becomes(condition: Callable[[], Any]) -> Any:
    """Like `eventually`, while the event loop goes on."""
    return await asyncio.to_thread(eventually, condition, "the vault")


async def test_an_approle_signs_in_once_for_many_reads(openbao: OpenBao) -> None:
    """C-1, C-2: one auth context, also when the first reads come at the same time."""
    openbao.store("billing/many", token="t")
    async with opened(openbao, approle(openbao, "many")) as vault:
        readings = await asyncio.gather(*(vault.read(at("many")) for _ in range(12)))
        assert len({reading.accessor for reading in readings}) == 1
        assert "signed in with an AppRole" in await vault.check()


async def test_a_wrapped_secret_id_is_opened_once(openbao: OpenBao) -> None:
    """C-1: a wrapping token signs one gateway in; the second that shows it is told it may be stolen."""
    openbao.store("billing/wrapped", token="t")
    role_id, wrapping = openbao.role("wrapped"), openbao.wrapped_secret_id("wrapped")
    auth = AppRoleAuth(role_id, Secret(wrapping), wrapped=True, role="wrapped")
    async with opened(openbao, auth) as vault:
        first = await vault.read(at("wrapped"))
        openbao.admin.auth.token.revoke_accessor(first.accessor)
        again = await vault.read(at("wrapped"))
        assert again.secret.expose() == "t"
        assert again.accessor != first.accessor, "signed in anew with the secret_id it had unwrapped"
    async with opened(openbao, auth) as thief:
        with pytest.raises(CredentialUnavailable, match=r"billing/wrapped#token.*opened before.*stolen"):
            await thief.read(at("wrapped"))


async def test_a_caller_that_gives_up_does_not_lose_the_wrapped_secret_id(openbao: OpenBao) -> None:
    """C-1: signing in goes on when the read that began it is cancelled while the secret_id is on its way."""
    openbao.store("billing/patient", token="t")
    role_id, wrapping = openbao.role("patient"), openbao.wrapped_secret_id("patient")
    unwrapping, go_on = asyncio.Event(), asyncio.Event()
    connections: list[asyncio.Task[Any] | None] = []

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(asyncio.current_task())
        there = await asyncio.open_connection("127.0.0.1", int(openbao.address.rpartition(":")[2]))

        async def requests() -> None:
            while sent := await reader.read(65536):
                if b"wrapping/unwrap" in sent:
                    unwrapping.set()
                there[1].write(sent)
            there[1].close()

        async def answers() -> None:
            while answer := await there[0].read(65536):
                if unwrapping.is_set():
                    await go_on.wait()
                writer.write(answer)
            writer.close()

        await asyncio.gather(requests(), answers())
        await asyncio.gather(there[1].wait_closed(), writer.wait_closed())

    slow = await asyncio.start_server(forward, "127.0.0.1", 0)
    address = f"http://127.0.0.1:{slow.sockets[0].getsockname()[1]}"
    vault = HashicorpVault(address, AppRoleAuth(role_id, Secret(wrapping), wrapped=True))
    try:
        hasty = asyncio.create_task(vault.read(at("patient")))
        await asyncio.wait_for(unwrapping.wait(), PATIENCE)
        hasty.cancel()
        with pytest.raises(asyncio.CancelledError):
            await hasty
        go_on.set()
        assert (await vault.read(at("patient"))).secret.expose() == "t"
    finally:
        go_on.set()
        await vault.close()
        slow.close()
        await asyncio.gather(*(connection for connection in connections if connection))


async def test_a_wrapping_token_from_elsewhere_is_not_opened(openbao: OpenBao) -> None:
    """C-1: the creation path is checked first, so an exchanged token stays unopened as evidence."""
    role_id = openbao.role("expected")
    openbao.role("unexpected")
    forged = openbao.admin.sys.wrap(payload={"secret_id": "x"}, ttl=60)["wrap_info"]["token"]
    for wrapping in (forged, openbao.wrapped_secret_id("unexpected")):
        async with opened(openbao, AppRoleAuth(role_id, Secret(wrapping), wrapped=True, role="expected")) as vault:
            with pytest.raises(CredentialUnavailable, match="not made for the gateway's AppRole"):
                await vault.read(at("any"))
        assert openbao.admin.sys.unwrap(wrapping)


async def test_a_session_is_renewed_before_it_ends(openbao: OpenBao) -> None:
    """C-1: a token of a few seconds is renewed at two thirds of them and goes on reading under its accessor."""
    openbao.store("billing/renewed", token="t")
    token, accessor = openbao.token(ttl="3s")
    async with opened(openbao, TokenAuth(Secret(token))) as vault:
        assert (await vault.read(at("renewed"))).accessor == accessor
        renewed = await becomes(lambda: openbao.admin.auth.token.lookup_accessor(accessor)["data"].get("last_renewal"))
        assert renewed
        assert (await vault.read(at("renewed"))).accessor == accessor


async def test_a_session_at_its_maximal_age_is_replaced_by_a_new_one(openbao: OpenBao) -> None:
    """C-1: when renewing gains nothing, the AppRole logs in again before the old token ends."""
    openbao.store("billing/aged", token="t")
    auth = approle(openbao, "aged", token_ttl="3s", token_max_ttl="4s")
    async with opened(openbao, auth) as vault:
        first = (await vault.read(at("aged"))).accessor
        seen = [first]
        async with asyncio.timeout(PATIENCE):
            while seen[-1] == first:
                seen.append((await vault.read(at("aged"))).accessor)
                await asyncio.sleep(0.05)
        assert openbao.admin.auth.token.lookup_accessor(first), "the old one had not ended"


async def test_a_revoked_session_is_replaced_at_the_next_read(openbao: OpenBao) -> None:
    """C-1: a 403 on a token that is gone leads to one new login, and the read succeeds."""
    openbao.store("billing/revoked", token="t")
    async with opened(openbao, approle(openbao, "revoked")) as vault:
        first = (await vault.read(at("revoked"))).accessor
        openbao.admin.auth.token.revoke_accessor(first)
        assert (await vault.read(at("revoked"))).accessor != first


async def test_a_revoked_token_cannot_be_replaced(openbao: OpenBao) -> None:
    """C-1: a fixed token that is gone is said to be refused, and the check says so too."""
    openbao.store("billing/gone", token="t")
    token, accessor = openbao.token()
    async with opened(openbao, TokenAuth(Secret(token))) as vault:
        await vault.read(at("gone"))
        openbao.admin.auth.token.revoke_accessor(accessor)
        with pytest.raises(CredentialUnavailable, match="does not accept the gateway's token"):
            await vault.read(at("gone"))
        with pytest.raises(CredentialUnavailable, match="does not accept the gateway's token"):
            await vault.check()
