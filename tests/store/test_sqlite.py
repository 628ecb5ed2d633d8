"""The store: one writer, group commit, and clear words when the disk says no."""

import asyncio
import json
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.errors import HoldgateError, LedgerUnavailable
from gateway.ledger_line import Event, LedgerLine
from gateway.model import new_id
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from tests.store.conftest import seal

pytestmark = pytest.mark.anyio


def test_concurrent_work_shares_commits_and_loses_nothing(store: SqliteStore) -> None:
    """I-6: a hundred writers at once leave a gapless chain, each line after the other."""
    with ThreadPoolExecutor(20) as pool:
        lines = list(pool.map(lambda _: store.transact(lambda tx: tx.ledger.append(Event.CONFIG)), range(100)))
    assert sorted(line.seq for line in lines) == list(range(1, 101))
    assert store.look(lambda tx: tx.ledger.head())[0] == 100


async def test_work_of_one_turn_shares_a_commit_and_undoes_only_itself(store: SqliteStore) -> None:
    """I-6: in a shared commit, one piece of work that raises leaves its neighbours' lines, and the chain, whole."""

    def fail(tx: Transaction) -> None:
        tx.ledger.append(Event.SWITCH)
        raise HoldgateError("no")

    commits = sqlite3.connect(store.path)
    before = commits.execute("PRAGMA data_version").fetchone()[0]
    first, bad, second = await asyncio.gather(
        store.write(lambda tx: tx.ledger.append(Event.CONFIG)),
        store.write(fail),
        store.write(lambda tx: tx.ledger.append(Event.CONFIG)),
        return_exceptions=True,
    )
    assert commits.execute("PRAGMA data_version").fetchone()[0] == before + 1
    commits.close()
    assert isinstance(bad, HoldgateError)
    assert [line.seq for line in (first, second) if isinstance(line, LedgerLine)] == [1, 2]
    assert [line.seq for line in store.look(lambda tx: list(tx.ledger.lines()))] == [1, 2]
    assert store.look(lambda tx: tx.ledger.sealed_head()) == (2, second.hash, seal(2, second.hash))


async def test_a_busy_store_waits_for_those_about_to_ask_and_an_idle_one_for_nobody(tmp_path: Path) -> None:
    """I-6: after a batch of many, who asks a few turns later shares the commit; after one alone, there is no wait."""
    transactions = 0

    def clock() -> int:
        nonlocal transactions
        transactions += 1
        return 1_000

    async def two_a_little_apart() -> int:
        before = transactions
        first = asyncio.create_task(store.write(lambda tx: tx.ledger.append(Event.CONFIG)))
        for _ in range(4):
            await asyncio.sleep(0)
        await asyncio.gather(first, store.write(lambda tx: tx.ledger.append(Event.CONFIG)))
        return transactions - before

    with closing(SqliteStore(tmp_path / "holdgate.db", seal, clock)) as store:
        assert await two_a_little_apart() == 2
        await asyncio.gather(*(store.write(lambda tx: tx.ledger.append(Event.CONFIG)) for _ in range(8)))
        assert await two_a_little_apart() == 1


def test_what_time_does_walks_through_no_table_that_only_grows(store: SqliteStore) -> None:
    """Housekeeping and the gauges look into indexes of what is open, and never at all that was ever done."""
    asked: list[str] = []
    store._connection.set_trace_callback(asked.append)
    store.transact(
        lambda tx: (
            tx.actions.overdue(),
            tx.actions.dispatching(),
            tx.actions.unsettled(),
            tx.actions.unknown(),
            tx.actions.due(),
            tx.actions.forget(0),
            tx.bodies.expire(0),
            tx.holds.approved(),
            tx.holds.overdue(),
            tx.holds.waiting(),
            tx.holds.pending_of("default", "bot"),
        )
    )
    store._connection.set_trace_callback(None)
    looks = [sql for sql in asked if sql.startswith(("SELECT", "DELETE"))]
    assert len(looks) > 10
    for sql in looks:
        plan = " / ".join(row[3] for row in store._connection.execute(f"EXPLAIN QUERY PLAN {sql}"))
        walked = {step for step in plan.split(" / ") if step.startswith("SCAN") and "INDEX" not in step}
        assert not walked, f"{sql}: {plan}"


async def test_a_caller_who_leaves_does_not_take_its_work_along(store: SqliteStore) -> None:
    """I-9: what was asked for is done, and those who wait beside it are answered."""
    leaving = asyncio.create_task(store.write(lambda tx: tx.ledger.append(Event.SWITCH)))
    staying = asyncio.create_task(store.write(lambda tx: tx.ledger.append(Event.CONFIG)))
    await asyncio.sleep(0)
    leaving.cancel()
    assert (await staying).seq == 2
    assert leaving.cancelled()
    assert [line.seq for line in store.look(lambda tx: list(tx.ledger.lines()))] == [1, 2]


async def test_calls_sweeps_and_other_processes_take_turns(store: SqliteStore) -> None:
    """I-6: housekeeping in its thread, calls on the loop and another process's work make one gapless chain."""
    other = SqliteStore(store.path, seal)
    with ThreadPoolExecutor(1) as thread:
        elsewhere = thread.submit(lambda: [other.transact(lambda tx: tx.ledger.append(Event.KEY)) for _ in range(40)])
        work = [
            (store.sweep if number % 10 == 0 else store.write)(lambda tx: tx.ledger.append(Event.CONFIG))
            for number in range(80)
        ]
        lines = [*await asyncio.gather(*work), *await asyncio.wrap_future(elsewhere)]
    other.close()
    assert sorted(line.seq for line in lines) == list(range(1, 121))
    chain = store.look(lambda tx: list(tx.ledger.lines()))
    assert all(json.loads(line.text)["prev"] == before.hash for before, line in pairwise(chain))


async def test_a_note_is_written_with_whatever_comes_next(store: SqliteStore) -> None:
    """I-15: a call, housekeeping or a command: the next transaction of any kind takes along what was noted."""
    for number, following in enumerate((store.write, store.sweep, store.transact), 1):
        store.note(lambda tx: tx.ledger.append(Event.KEY))
        told = following(lambda tx: tx.ledger.head()[0])
        assert (told if isinstance(told, int) else await told) == number
    store.note(lambda tx: tx.ledger.append(Event.KEY))
    store.close()
    with closing(SqliteStore(store.path, seal)) as again:
        assert again.look(lambda tx: tx.ledger.head())[0] == 4


def beginning(store: SqliteStore) -> bytes:
    """The two numbers of the log that are other ones each time it begins."""
    with store.path.with_name("holdgate.db-wal").open("rb") as log:
        return log.read(24)[16:]


async def test_the_log_is_copied_into_the_database_beside_the_work(store: SqliteStore) -> None:
    """Many calls leave a short log although no commit had to stop for it, and nothing is missing afterwards."""

    def keep(tx: Transaction) -> None:
        tx.bodies.put(new_id("act"), "outcome", b"x" * 1_000, keep_ms=None)

    empty = store.path.stat().st_size
    for _ in range(24):
        await asyncio.gather(*(store.write(keep) for _ in range(50)))
    # The thread of sweeps does the copying: what was begun before is over.
    assert await store.sweep(lambda tx: tx.now)
    assert store.path.stat().st_size > empty + 500_000
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT COUNT(*) FROM bodies").fetchone()[0] == 1_200


async def test_what_housekeeping_writes_is_copied_like_everything_else(store: SqliteStore) -> None:
    """A gateway that nobody calls, and that drops what is old round after round, does not let the log grow for it."""
    empty = store.path.stat().st_size
    for _ in range(24):
        await store.sweep(lambda tx: tx.bodies.put(new_id("act"), "outcome", b"x" * 100_000, keep_ms=None))
    assert store.path.stat().st_size > empty + 500_000


@pytest.mark.parametrize("others", [False, True])
async def test_a_log_that_grows_long_begins_anew_though_the_commits_never_pause(
    store: SqliteStore, others: bool
) -> None:
    """No commit copies the log, and under a load that never ends it still does not grow for ever.

    Nor does it when another program commits whenever it can, in the middle of each copy, too.
    """

    def another_program(sql: str) -> None:
        other = sqlite3.connect(store.path, isolation_level=None, timeout=0)
        with closing(other), suppress(sqlite3.OperationalError):
            other.execute("INSERT INTO bodies VALUES (?, 'outcome', x'00', NULL)", (new_id("act"),))

    if others:
        store._backfill._connection.set_trace_callback(another_program)

    async def caller() -> None:
        for _ in range(128):
            await store.write(lambda tx: tx.bodies.put(new_id("act"), "outcome", b"x" * 20_000, keep_ms=None))

    before = beginning(store)
    await asyncio.gather(*(caller() for _ in range(64)))
    assert beginning(store) != before


async def test_no_commit_begins_the_log_anew_while_it_is_copied(store: SqliteStore) -> None:
    """I-6: SQLite before 3.51.3 can lose what is committed to a log that begins anew just as a copy of it begins."""
    copies: list[tuple[bytes, bytes]] = []

    def another_program(sql: str) -> None:
        before = beginning(store)
        with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
            other.execute("PRAGMA wal_checkpoint").fetchall()
            other.execute("INSERT INTO bodies VALUES ('act', 'outcome', x'00', NULL)")
        copies.append((before, beginning(store)))

    store._backfill._connection.set_trace_callback(another_program)
    for _ in range(32):
        await asyncio.gather(*(store.write(lambda tx: tx.ledger.append(Event.CONFIG)) for _ in range(32)))
    # The thread of sweeps does the copying: what was begun before is over.
    assert await store.sweep(lambda tx: tx.now)
    ((before, after),) = copies
    assert before == after


async def test_closing_finishes_what_was_asked_for(tmp_path: Path) -> None:
    """I-6: a store that is closed in the middle loses nothing of what it took on, and answers those who wait."""
    store = SqliteStore(tmp_path / "holdgate.db", seal)
    asked = [asyncio.create_task(store.write(lambda tx: tx.ledger.append(Event.CONFIG))) for _ in range(200)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    store.close()
    assert sorted(line.seq for line in await asyncio.gather(*asked)) == list(range(1, 201))
    for late in (store.write, store.read):
        with pytest.raises(LedgerUnavailable, match="stopping"):
            await late(lambda tx: tx.ledger.head())


async def test_a_head_that_cannot_be_sealed_fails_its_work_and_nobody_elses(tmp_path: Path) -> None:
    """L-1: a transaction that breaks outside of the database ends, too, and the next one has its turn."""
    failures = [MemoryError(), MemoryError(), MemoryError()]  # a call's work is tried twice, a sweep's once

    def seal_or_fail(seq: int, hash: str) -> str:
        if failures:
            raise failures.pop()
        return seal(seq, hash)

    with closing(SqliteStore(tmp_path / "holdgate.db", seal_or_fail)) as store:
        for append in (store.write, store.sweep):
            with pytest.raises(LedgerUnavailable):
                await append(lambda tx: tx.ledger.append(Event.CONFIG))
        assert (await store.write(lambda tx: tx.ledger.append(Event.CONFIG))).seq == 1


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


def test_no_row_that_is_written_costs_a_table_of_its_own(store: SqliteStore) -> None:
    """For a list in an index's condition SQLite builds a table, for each row anew: it costs as much as the row."""
    look = store._connection.execute
    for (table,) in look("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        columns = [row["name"] for row in look(f"PRAGMA table_info({table})")]
        values = ", ".join("?" * len(columns))
        steps = look(f"EXPLAIN INSERT INTO {table} ({', '.join(columns)}) VALUES ({values})", (None,) * len(columns))
        assert not {row["opcode"] for row in steps} & {"OpenEphemeral", "OpenAutoindex", "SorterOpen"}, table


async def test_a_locked_database_fails_the_work_and_recovers(tmp_path: Path) -> None:
    """L-1: while another program holds the lock nothing is recorded; afterwards the store works again."""
    store = SqliteStore(tmp_path / "holdgate.db", seal, patience_ms=50)
    intruder = sqlite3.connect(store.path, isolation_level=None)
    intruder.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerUnavailable, match="locked by another program"):
        store.transact(lambda tx: tx.ledger.append(Event.CONFIG))
    with pytest.raises(LedgerUnavailable, match="locked by another program"):
        await store.write(lambda tx: tx.ledger.append(Event.CONFIG))
    intruder.execute("ROLLBACK")
    intruder.close()
    assert (await store.write(lambda tx: tx.ledger.append(Event.CONFIG))).seq == 1
    store.close()


async def test_a_full_disk_fails_the_work_and_recovers(store: SqliteStore) -> None:
    """S35: a full disk keeps nothing of the work, says so, and the next write after it succeeds."""
    pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
    store._connection.execute(f"PRAGMA max_page_count={pages}")
    with pytest.raises(LedgerUnavailable, match="disk is full"):
        await store.write(lambda tx: [tx.ledger.append(Event.CONFIG, note="x" * 2000) for _ in range(50)])
    store._connection.execute("PRAGMA max_page_count=100000")
    assert (await store.write(lambda tx: tx.ledger.append(Event.CONFIG))).seq == 1
