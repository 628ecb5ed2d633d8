"""The Vault backend against a real OpenBao: it reads, stays signed in, fails closed and keeps quiet."""

from __future__ import annotations

import asyncio
import gc
import logging
import pickle
import socket
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from gateway.errors import CredentialUnavailable, StartupError
from gateway.permit import Permit
from tests.misbehaving import reply, say, wire
from tests.services import OpenBao
from tests.vault.conftest import CANARY, approle, at, opened
from vault.broker import Broker
from vault.hashicorp import AppRoleAuth, HashicorpVault, TokenAuth
from vault.reference import Reference
from vault.secret import Secret

pytestmark = pytest.mark.anyio

Mint: TypeAlias = Callable[[str | None], Permit]


async def test_a_field_of_a_kv_secret_is_read_with_its_version(openbao: OpenBao) -> None:
    """C-3: value, version, no lease for static KV, and the accessor of the token that read it."""
    openbao.store("billing/read", token="old")
    openbao.store("billing/read", token="new", other="else")
    token, accessor = openbao.token()
    async with opened(openbao, TokenAuth(Secret(token))) as vault:
        reading = await vault.read(at("read"))
        assert (reading.secret.expose(), reading.version, reading.ttl_seconds, reading.accessor) == (
            "new",
            "2",
            None,
            accessor,
        )
        assert (await vault.read(at("read", "other"))).secret.expose() == "else"


async def test_a_rotated_credential_is_seen_after_the_upstream_refused_the_old_one(
    openbao: OpenBao, permit: Mint
) -> None:
    """C-3: the broker keeps a value until it is invalidated, then reads the new version."""
    openbao.store("billing/rotated", token="first")
    async with opened(openbao, approle(openbao, "rotated")) as vault:
        broker = Broker(vault)
        wanted = permit(str(at("rotated")))
        leases = [await broker.lease(wanted)]
        openbao.store("billing/rotated", token="second")
        leases.append(await broker.lease(wanted))
        broker.invalidate(str(at("rotated")))
        leases.append(await broker.lease(wanted))
        assert [(lease.secret.expose(), lease.version) for lease in leases if lease] == [
            ("first", "1"),
            ("first", "1"),
            ("second", "2"),
        ]


async def test_each_missing_thing_is_named(openbao: OpenBao) -> None:
    """S32: denied, absent, deleted, without the field, not text: one sentence each, with reference and remedy."""
    openbao.store("billing/partial", token="t", number=7)
    openbao.store("billing/deleted", token="t")
    openbao.admin.secrets.kv.v2.delete_latest_version_of_secret("billing/deleted", mount_point="kv")
    cases = {
        Reference("kv", "private/thing", "token"): "denies permission. Let the policy",
        Reference("nomount", "billing/x", "token"): "denies permission",
        at("absent"): "no such secret",
        at("deleted"): "no such secret",
        at("partial", "other"): "not that field",
        at("partial", "number"): "holds no text",
    }
    async with opened(openbao, approle(openbao, "missing")) as vault:
        accessor = (await vault.read(at("partial"))).accessor
        for reference, said in cases.items():
            with pytest.raises(CredentialUnavailable, match=said) as failure:
                await vault.read(reference)
            assert str(reference) in str(failure.value)
        assert (await vault.read(at("partial"))).accessor == accessor, "a refusal is no reason to log in again"


async def test_a_wrong_secret_id_is_told_from_a_vault_that_is_down(openbao: OpenBao) -> None:
    """S32: the operator learns whether to issue a secret_id or to start the vault."""
    async with opened(openbao, AppRoleAuth(openbao.role("wrong"), Secret("not-it"))) as vault:
        with pytest.raises(CredentialUnavailable, match="does not accept the gateway's AppRole"):
            await vault.check()


async def test_a_sealed_vault_gives_nothing_until_it_is_unsealed(own_openbao: OpenBao) -> None:
    """S32: sealed is named as sealed, before and after the first sign-in, and recovers without a restart."""
    own_openbao.store("billing/sealed", token="t")
    auth = approle(own_openbao, "sealed")
    async with opened(own_openbao, auth) as early, opened(own_openbao, auth) as late:
        await early.read(at("sealed"))
        own_openbao.seal()
        for vault in (early, late):
            with pytest.raises(CredentialUnavailable, match=r"billing/sealed#token: it is sealed\. Ask"):
                await vault.read(at("sealed"))
        own_openbao.unseal()
        await asyncio.to_thread(own_openbao.wait_until_active)
        for vault in (early, late):
            assert (await vault.read(at("sealed"))).secret.expose() == "t"


async def test_a_vault_that_dies_fails_closed(own_openbao: OpenBao, permit: Mint) -> None:
    """S32: killed mid-run, no credential comes out once the cache is past, and the check says it is unreachable."""
    own_openbao.store("billing/killed", token="t")
    now = 0.0
    async with opened(own_openbao, approle(own_openbao, "killed")) as vault:
        broker = Broker(vault, clock=lambda: now)
        assert await broker.lease(permit(str(at("killed"))))
        own_openbao.kill()
        assert await broker.lease(permit(str(at("killed"))))
        now = 61.0
        for _ in range(2):
            with pytest.raises(CredentialUnavailable, match=r"killed#token: it cannot be reached"):
                await broker.lease(permit(str(at("killed"))))
        with pytest.raises(CredentialUnavailable, match=f"{own_openbao.address}.*cannot be reached"):
            await vault.check()


async def test_a_vault_that_does_not_answer_is_given_up() -> None:
    """C-2: a server that accepts and says nothing costs the timeout and no more."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        vault = HashicorpVault(address, TokenAuth(Secret("t")), timeout=0.2)
        with pytest.raises(CredentialUnavailable, match="did not answer in time"):
            await vault.read(at("silent"))
        await vault.close()


@pytest.mark.parametrize(
    "answer",
    [
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:9/v1/x\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]",
        'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{"data": [1]}',
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>",
    ],
)
async def test_what_is_no_vault_is_not_believed(answer: str) -> None:
    """C-2: redirects are not followed, and a page or foreign JSON is no answer."""
    async with wire(say(answer.encode())) as impostor:
        vault = HashicorpVault(f"http://127.0.0.1:{impostor.port}", TokenAuth(Secret("t")))
        with pytest.raises(CredentialUnavailable, match="not one of a Vault server"):
            await vault.read(at("impostor"))
        await vault.close()


async def test_nothing_is_taken_from_the_environment(
    openbao: OpenBao, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """C-2, C-8: neither a proxy, nor a token, nor a namespace that happens to be set is used."""
    (tmp_path / ".vault-token").write_text(openbao.root_token)
    for name, value in {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "VAULT_TOKEN": openbao.root_token,
        "VAULT_ADDR": "http://127.0.0.1:9",
        "VAULT_NAMESPACE": "elsewhere",
        "HOME": str(tmp_path),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    openbao.store("billing/environment", token="t")
    async with opened(openbao, approle(openbao, "environment")) as vault:
        assert (await vault.read(at("environment"))).secret.expose() == "t"
        with pytest.raises(CredentialUnavailable, match="denies permission"):
            await vault.read(Reference("kv", "private/thing", "token"))


async def test_a_stray_token_is_not_shown_to_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    """C-2: a login carries no token that happens to stand in the environment, and names itself a vault request."""
    monkeypatch.setenv("VAULT_TOKEN", CANARY)
    async with wire(reply(503, b"")) as server:
        address = f"http://127.0.0.1:{server.port}"
        vault = HashicorpVault(address, AppRoleAuth("role", Secret("id")), namespace="team")
        with pytest.raises(CredentialUnavailable, match="not ready"):
            await vault.read(at("stray"))
        await vault.close()
    (login,) = server.arrivals
    assert CANARY.encode() not in login.raw
    assert login.headers["x-vault-namespace"] == "team"
    assert login.headers["x-vault-request"] == "true"


async def test_https_is_verified(https_openbao: OpenBao, authority: tuple[Path, Path]) -> None:
    """C-2: an unknown certificate is refused by name; its CA bundle makes it trusted."""
    https_openbao.store("billing/tls", token="t")
    auth, bundle = approle(https_openbao, "tls"), str(authority[0])
    async with opened(https_openbao, auth) as stranger, opened(https_openbao, auth, verify=bundle) as friend:
        with pytest.raises(CredentialUnavailable, match="certificate is not trusted"):
            await stranger.read(at("tls"))
        assert (await friend.read(at("tls"))).secret.expose() == "t"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://vault.example:8200", "plain http"),
        ("http://10.0.0.1:8200", "plain http"),
        ("http://localhost.example", "plain http"),
        ("ftp://127.0.0.1", "not a plain http"),
        ("vault.example:8200", "not a plain http"),
        ("https://", "not a plain http"),
        ("https://user:pass@vault.example", "not a plain http"),
        ("https://vault.example/v1", "has a path"),
        ("https://vault.example:port", "no URL"),
    ],
)
async def test_an_address_that_cannot_be_trusted_stops_the_start(address: str, said: str) -> None:
    """C-2: plain http leaves this machine only when told `insecure`; odd addresses are refused, not repaired."""
    with pytest.raises(StartupError, match=said) as failure:
        HashicorpVault(address, TokenAuth(Secret("t")))
    assert failure.value.remedy
    assert "pass" not in str(failure.value)


async def test_insecure_has_to_be_said() -> None:
    """C-2: plain http elsewhere, and an unverified certificate, are possible only in so many words."""
    await HashicorpVault("http://vault.example", TokenAuth(Secret("t")), insecure=True).close()
    with pytest.raises(StartupError, match="not be verified"):
        HashicorpVault("https://vault.example", TokenAuth(Secret("t")), verify=False)
    with pytest.raises(StartupError, match="one line"):
        HashicorpVault("https://vault.example", TokenAuth(Secret(f"{CANARY}\n")))


async def test_no_log_exception_repr_or_pickle_shows_a_credential(
    own_openbao: OpenBao, caplog: pytest.LogCaptureFixture
) -> None:
    """C-2, C-6: at DEBUG, with every library logging, through every kind of failure, with all locals and all that
    an exception chains to, neither a value nor a token nor a secret_id is shown."""
    caplog.set_level(logging.DEBUG)
    own_openbao.store("billing/canary", token=CANARY, number=7)
    auth = approle(own_openbao, "canary")
    token, _ = own_openbao.token()
    hidden = [CANARY, auth.secret_id.expose(), token, own_openbao.root_token]
    shown: list[str] = []
    caplog.clear()

    async def fail(vault: HashicorpVault, reference: Reference) -> None:
        with pytest.raises(CredentialUnavailable) as failure:
            await vault.read(reference)
        error = failure.value
        shown.append("".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()))
        assert error.__cause__ is None
        assert error.__context__ is None
        shown.append(repr(pickle.dumps(error)))

    async with opened(own_openbao, auth) as role, opened(own_openbao, TokenAuth(Secret(token))) as fixed:
        for vault in (role, fixed):
            reading = await vault.read(at("canary"))
            assert reading.secret.expose() == CANARY
            shown += [repr(reading), repr(vault), repr(vars(vault)), await vault.check()]
            for reference in (at("absent"), at("canary", "number"), at("canary", "none"), Reference("kv", "x/y", "z")):
                await fail(vault, reference)
            with pytest.raises(TypeError):
                pickle.dumps(reading)
        own_openbao.seal()
        await fail(role, at("canary"))
        own_openbao.kill()
        await fail(role, at("canary"))
    async with opened(own_openbao, AppRoleAuth("r", Secret(token), wrapped=True)) as wrapped:
        await fail(wrapped, at("canary"))
    gc.collect()
    assert "billing/canary" in caplog.text, "the libraries did log"
    assert not [secret for secret in hidden for text in (*shown, caplog.text) if secret in text]
