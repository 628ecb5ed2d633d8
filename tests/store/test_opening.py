"""Opening a database: an older one is brought up to date, and what is none of ours is left alone."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest

from gateway.errors import StartupError
from gateway.model import Key
from gateway.outcome import State
from gateway.store.actions import Actions
from gateway.store.sqlite import SqliteStore
from tests.calling import CALL
from tests.store.conftest import seal

MIGRATIONS = resources.files("gateway.store").joinpath("migrations")
SCRIPTS = sorted(MIGRATIONS.iterdir(), key=lambda script: script.name)
VERSIONS = range(1, len(SCRIPTS) + 1)


def made_by(version: int, path: Path) -> sqlite3.Connection:
    """A database as the version of this schema made it."""
    file = sqlite3.connect(path)
    for script in SCRIPTS[:version]:
        file.executescript(script.read_text(encoding="utf-8"))
    file.execute(f"PRAGMA user_version={version}")
    return file


def test_a_file_of_an_older_holdgate_is_brought_to_the_tables_of_a_new_one(tmp_path: Path) -> None:
    """Upgrading: what an older version made has the same tables and indexes after it was opened once."""

    def tables(path: Path) -> dict[str, str]:
        with closing(SqliteStore(path, seal)) as store:
            made = store._connection.execute("SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL")
            return {row["name"]: " ".join(re.sub(r"--.*", "", row["sql"]).split()) for row in made}

    for version in VERSIONS:
        older = tmp_path / f"{version}.db"
        made_by(version, older).close()
        assert tables(older) == tables(tmp_path / "new.db")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_holdgate_has_recorded_is_found_by_a_new_one(tmp_path: Path, version: int) -> None:
    """I-4, I-8: a repeat of a call from before the upgrade is one, and what was under way then is found out."""
    path, call = tmp_path / "holdgate.db", replace(CALL, key=Key(b"a key", "derived"), twin=b"a twin")
    with closing(made_by(version, path)) as older, older:
        Actions(older, 1_000).add(call, State.DISPATCHING, policy_hash="", instance="run_1", lease_until=2_000)
    with closing(SqliteStore(path, seal)) as store:
        found = store.look(lambda tx: [tx.actions.claimant(call), tx.actions.lost(call), *tx.actions.overdue()])
        assert [row and row.id for row in found] == [call.id] * 3
        assert store.look(lambda tx: tx.actions.may_be_repeat(call))


def test_who_opens_a_database_that_others_work_on_writes_nothing_into_it(tmp_path: Path) -> None:
    """I-6: `holdgate approvals` beside a busy gateway; a commit of its own would copy the log, see decision 0006."""
    path = tmp_path / "holdgate.db"
    with closing(SqliteStore(path, seal)) as busy:
        busy.transact(lambda tx: tx.bodies.put("act", "outcome", b"x" * 8_000_000, keep_ms=None))
        parts = (path, path.with_name("holdgate.db-wal"))
        before = [part.stat().st_size for part in parts]
        SqliteStore(path, seal).close()
        assert [part.stat().st_size for part in parts] == before


@pytest.mark.parametrize("version", VERSIONS)
def test_what_an_older_holdgate_was_asked_is_told_until_it_has_ended(tmp_path: Path, version: int) -> None:
    """I-13: of a write that was under way at the upgrade, too, however long it takes to find out what became of it."""
    path = tmp_path / "holdgate.db"
    with closing(made_by(version, path)) as older, older:
        Actions(older, 1_000).add(CALL, State.DISPATCHING, policy_hash="", instance="run_1", lease_until=2_000)
        expires = 2_000 if version < 3 else None
        older.execute("INSERT INTO bodies VALUES (?, 'arguments', ?, ?)", (CALL.id, b"sealed", expires))
    with closing(SqliteStore(path, seal)) as store:
        assert store.look(lambda tx: tx.bodies.get(CALL.id, "arguments")) == b"sealed"


def test_a_newer_database_is_left_alone(tmp_path: Path) -> None:
    """A database of a later Holdgate is refused with a remedy, is not touched, and is not kept open."""
    path = tmp_path / "holdgate.db"
    SqliteStore(path, seal).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StartupError, match="newer Holdgate") as refused:
        SqliteStore(path, seal)
    assert "Upgrade" in refused.value.remedy
    assert not path.with_name("holdgate.db-wal").exists(), "SQLite removes it when the last connection is closed"
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
