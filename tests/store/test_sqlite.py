"""The store: one writer, group commit, and clear words when the disk says no."""

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from gateway.errors import HoldgateError, LedgerUnavailable, StartupError
from gateway.model import BudgetCharge, Event, Kind, Principal
from gateway.store.sqlite import SqliteStore


def seal(seq: int, hash: str) -> str:
    return f"{seq}/{hash}"


@pytest.fixture
def store(tmp_path: Path):
    store = SqliteStore(tmp_path / "holdgate.db", seal)
    yield store
    store.close()


def test_concurrent_work_shares_commits_and_loses_nothing(store: SqliteStore) -> None:
    """I-6: a hundred writers at once leave a gapless chain, each line after the other."""
    with ThreadPoolExecutor(20) as pool:
        lines = list(pool.map(lambda _: store.transact(lambda tx: tx.ledger.append(Event.CONFIG)), range(100)))
    assert sorted(line.seq for line in lines) == list(range(1, 101))
    assert store.look(lambda tx: tx.ledger.head())[0] == 100


def test_work_that_fails_undoes_only_itself(store: SqliteStore) -> None:
    """I-6: in a shared commit, one piece of work that raises leaves its neighbours' writes alone."""
    together = threading.Event()

    def wait(tx) -> None:
        together.wait(5)

    def fail(tx) -> None:
        tx.ledger.append(Event.SWITCH)
        raise HoldgateError("no")

    first = store._submit(wait)
    bad = store._submit(fail)
    good = store._submit(lambda tx: tx.ledger.append(Event.CONFIG))
    together.set()
    first.result()
    with pytest.raises(HoldgateError, match="no"):
        bad.result()
    assert good.result().seq == 1


def test_what_was_told_is_on_disk(tmp_path: Path) -> None:
    """S43: another connection sees a line as soon as its writer was told that it is written."""
    store = SqliteStore(tmp_path / "holdgate.db", seal)
    store.transact(lambda tx: tx.ledger.append(Event.CONFIG))
    other = sqlite3.connect(tmp_path / "holdgate.db")
    assert other.execute("SELECT COUNT(*) FROM ledger").fetchone() == (1,)
    assert store._connection.execute("PRAGMA synchronous").fetchone()[0] == 2
    other.close()
    store.close()


def test_the_ledger_can_only_grow(store: SqliteStore) -> None:
    """L-3: the database itself refuses to change or delete a line."""
    store.transact(lambda tx: tx.ledger.append(Event.CONFIG))
    for sql in ("UPDATE ledger SET text = '{}'", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            store._connection.execute(sql)


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """A database of a later Holdgate is refused with a remedy, and is not touched."""
    path = tmp_path / "holdgate.db"
    SqliteStore(path, seal).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StartupError, match="newer Holdgate") as refused:
        SqliteStore(path, seal)
    assert "Upgrade" in refused.value.remedy
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA user_version").fetchone() == (99,)
    connection.close()


@pytest.mark.parametrize("content", [b"not a database at all, but long enough to look like one" * 40])
def test_another_kind_of_file_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file that is no database gets one sentence and a remedy, and keeps its content."""
    path = tmp_path / "holdgate.db"
    path.write_bytes(content)
    with pytest.raises(StartupError, match="not a Holdgate database"):
        SqliteStore(path, seal)
    assert path.read_bytes() == content


def test_a_locked_database_fails_the_work_and_recovers(store: SqliteStore) -> None:
    """L-1: while another program holds the lock nothing is recorded; afterwards the store works again."""
    store._connection.execute("PRAGMA busy_timeout=50")
    intruder = sqlite3.connect(store.path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked by another program"):
        store.transact(lambda tx: tx.ledger.append(Event.CONFIG))
    intruder.execute("ROLLBACK")
    intruder.close()
    assert store.transact(lambda tx: tx.ledger.append(Event.CONFIG)).seq == 1


def test_a_full_disk_fails_the_work_and_recovers(store: SqliteStore) -> None:
    """S35: a full disk keeps nothing of the work, says so, and the next write after it succeeds."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        store.transact(lambda tx: [tx.ledger.append(Event.CONFIG, note="x" * 2000) for _ in range(50)])
    store._connection.execute("PRAGMA max_page_count=100000")
    assert store.transact(lambda tx: tx.ledger.append(Event.CONFIG)).seq == 1


def test_a_rolling_budget_is_never_exceeded(tmp_path: Path) -> None:
    """V-7, R-5: in every window of the length, no more than the limit; what is released is free again."""
    now = [1_000_000_000_000]
    store = SqliteStore(tmp_path / "holdgate.db", seal, clock=lambda: now[0])
    charge = BudgetCharge("b", amount=4, limit=10, window=24 * 3600, unit="cents")

    def reserve(action: str) -> bool:
        return store.transact(lambda tx: tx.budgets.reserve("default", action, charge))

    assert [reserve("a"), reserve("b"), reserve("c")] == [True, True, False]
    store.transact(lambda tx: tx.budgets.release("a"))
    store.transact(lambda tx: tx.budgets.settle("b"))
    assert reserve("d")
    now[0] += 23 * 3_600_000
    assert not reserve("e")
    now[0] += 3 * 3_600_000
    assert reserve("f")
    store.close()


def test_an_implicit_task_ends_with_an_idle_gap(tmp_path: Path) -> None:
    """I-16: calls close together share a task, also across a restart; a long silence ends it."""
    now = [1_000_000_000_000]
    path = tmp_path / "holdgate.db"

    def task() -> str:
        store = SqliteStore(path, seal, clock=lambda: now[0])
        try:
            return store.transact(lambda tx: tx.tasks.implicit("default", "bot", 900_000)).id
        finally:
            store.close()

    first = task()
    now[0] += 899_000
    assert task() == first
    now[0] += 900_000
    assert task() != first


def test_disabled_principals_and_revoked_keys_are_out_at_once(store: SqliteStore) -> None:
    """A-3, C-4: the transaction that would admit a call sees a revocation that was committed before it."""
    from gateway.identity.api_keys import check, create_key, revoke_key

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


def test_two_keys_at_most_are_active(store: SqliteStore) -> None:
    """A-3: a principal has one key, and one to rotate to."""
    from gateway.identity.api_keys import create_key

    bot = Principal("default", "bot", Kind.AGENT)
    store.transact(lambda tx: tx.people.put(bot))
    for _ in range(2):
        store.transact(lambda tx: create_key(tx, bot, by="test"))
    with pytest.raises(HoldgateError, match="Revoke one first"):
        store.transact(lambda tx: create_key(tx, bot, by="test"))
