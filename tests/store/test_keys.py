"""API keys in the store: who presents one is let in while it is good, and not a moment longer (semantics.md A-3)."""

from __future__ import annotations

import asyncio
from contextlib import closing
from pathlib import Path

import pytest

from gateway.errors import HoldgateError
from gateway.identity.api_keys import ApiKeys, check, create_key, revoke_key
from gateway.model import Kind, Principal
from gateway.store.job import Work
from gateway.store.sqlite import SqliteStore, T
from gateway.store.transaction import Transaction
from tests.store.conftest import seal

pytestmark = pytest.mark.anyio


def test_disabled_principals_and_revoked_keys_are_out_at_once(store: SqliteStore) -> None:
    """A-3, C-4: the transaction that would admit a call sees a revocation that was committed before it."""
    bot = Principal("default", "bot", Kind.AGENT)
    store.transact(lambda tx: tx.people.put(bot))
    token = store.transact(lambda tx: create_key(tx, bot, by="test"))
    principal = store.look(lambda tx: check(tx, token))
    assert principal is not None
    assert principal.id == "bot"
    assert store.look(lambda tx: check(tx, token[:-1] + ("a" if token[-1] != "a" else "b"))) is None
    store.transact(lambda tx: tx.people.enable("default", "bot", False))
    assert store.look(lambda tx: check(tx, token)) is None
    store.transact(lambda tx: tx.people.enable("default", "bot", True))
    assert store.transact(lambda tx: revoke_key(tx, "default", principal.key_id, by="test"))
    assert store.look(lambda tx: check(tx, token)) is None
    assert not store.look(lambda tx: tx.people.active("default", "bot", principal.key_id))


async def test_calls_of_one_transaction_see_the_keys_that_it_revokes_and_not_those_that_it_spares(
    store: SqliteStore,
) -> None:
    """C-4: what a transaction has read of a key, it reads again once any of its work has changed a key."""
    bot = Principal("default", "bot", Kind.AGENT)
    store.transact(lambda tx: tx.people.put(bot))
    token = store.transact(lambda tx: create_key(tx, bot, by="test"))
    principal = store.look(lambda tx: check(tx, token))
    assert principal is not None
    key = principal.key_id

    def active(tx: Transaction) -> bool:
        return tx.people.active("default", "bot", key)

    def revoke_in_vain(tx: Transaction) -> None:
        assert active(tx)
        assert tx.people.revoke_key(key)
        assert not active(tx)
        raise HoldgateError("no")

    async def in_one_transaction(*work: Work[object]) -> list[object]:
        return await asyncio.gather(*(store.write(piece) for piece in work), return_exceptions=True)

    before, failed, after = await in_one_transaction(active, revoke_in_vain, active)
    assert (before, type(failed), after) == (True, HoldgateError, True)
    disabled = await in_one_transaction(active, lambda tx: tx.people.enable("default", "bot", False), active)
    assert disabled == [True, True, False]
    enabled = await in_one_transaction(active, lambda tx: tx.people.enable("default", "bot", True), active)
    assert enabled == [False, True, True]
    assert await in_one_transaction(active, lambda tx: tx.people.revoke_key(key), active) == [True, True, False]


async def test_a_key_that_is_known_already_expires_all_the_same(tmp_path: Path) -> None:
    """A-3: who presents it again and again is let in no longer than the key says, though nothing else happens."""
    now = 1_000
    with closing(SqliteStore(tmp_path / "holdgate.db", seal, clock=lambda: now)) as store:
        bot = Principal("default", "bot", Kind.AGENT)
        store.transact(lambda tx: tx.people.put(bot))
        token = store.transact(lambda tx: create_key(tx, bot, by="test", days=1))
        keys = ApiKeys(store)
        assert await keys.authenticate(token)
        now += 86_400_000 - 1
        assert await keys.authenticate(token)
        now += 1
        assert await keys.authenticate(token) is None


async def test_a_key_that_is_revoked_while_it_is_looked_up_is_not_remembered(tmp_path: Path) -> None:
    """A-3: the answer to a question that was asked before the revocation stands for that one call."""
    has_read, proceed = asyncio.Event(), asyncio.Event()

    class Slow(SqliteStore):
        async def read(self, work: Work[T]) -> T:
            answer = await super().read(work)
            has_read.set()
            await proceed.wait()
            return answer

    with closing(Slow(tmp_path / "holdgate.db", seal)) as store:
        bot = Principal("default", "bot", Kind.AGENT)
        store.transact(lambda tx: tx.people.put(bot))
        token = store.transact(lambda tx: create_key(tx, bot, by="test"))
        keys = ApiKeys(store)
        first = asyncio.create_task(keys.authenticate(token))
        await has_read.wait()
        store.transact(lambda tx: revoke_key(tx, "default", token.split("_")[1], by="test"))
        await keys.look_again()
        proceed.set()
        assert await first
        assert await keys.authenticate(token) is None


async def test_who_called_before_a_change_is_looked_up_once_and_waits_for_nothing(tmp_path: Path) -> None:
    """A-3: one look at the store tells of every caller who lost a key or changed; who did not call is forgotten."""
    reads = 0

    class Counting(SqliteStore):
        async def read(self, work: Work[T]) -> T:
            nonlocal reads
            reads += 1
            return await super().read(work)

    def admitted(tx: Transaction, name: str, *groups: str) -> str:
        tx.people.put(Principal("default", name, Kind.AGENT, groups=frozenset(groups)))
        return create_key(tx, Principal("default", name, Kind.AGENT), by="test")

    with closing(Counting(tmp_path / "holdgate.db", seal)) as store:
        names = ("steady", "revoked", "disabled", "moved", "silent")
        tokens = {name: store.transact(lambda tx, name=name: admitted(tx, name)) for name in names}
        keys = ApiKeys(store)
        assert all([await keys.authenticate(token) for token in tokens.values()])
        await keys.look_again()
        assert all([await keys.authenticate(tokens[name]) for name in names[:-1]])
        store.transact(lambda tx: revoke_key(tx, "default", tokens["revoked"].split("_")[1], by="test"))
        store.transact(lambda tx: tx.people.enable("default", "disabled", False))
        store.transact(lambda tx: tx.people.put(Principal("default", "moved", Kind.AGENT, groups=frozenset({"b"}))))
        reads = 0
        await keys.look_again()
        assert reads == 1
        assert await keys.authenticate(tokens["steady"])
        assert (moved := await keys.authenticate(tokens["moved"])) is not None
        assert moved.groups == {"b"}
        assert reads == 1
        assert await keys.authenticate(tokens["silent"])
        assert reads == 2
        assert await keys.authenticate(tokens["revoked"]) is None
        assert await keys.authenticate(tokens["disabled"]) is None


def test_two_keys_at_most_are_active(store: SqliteStore) -> None:
    """A-3: a principal has one key, and one to rotate to."""
    bot = Principal("default", "bot", Kind.AGENT)
    store.transact(lambda tx: tx.people.put(bot))
    for _ in range(2):
        store.transact(lambda tx: create_key(tx, bot, by="test"))
    with pytest.raises(HoldgateError, match="Revoke one first"):
        store.transact(lambda tx: create_key(tx, bot, by="test"))
