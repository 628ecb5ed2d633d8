"""A store of its own for each test, and a seal that anybody can read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from gateway.store.opening import opened
from gateway.store.sqlite import SqliteStore


def seal(seq: int, hash: str) -> str:
    """What stands in for the seal of the ledger's head."""
    return f"{seq}/{hash}"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[SqliteStore]:
    """An empty store, on disk."""
    with closing(SqliteStore(tmp_path / "holdgate.db", seal)) as store:
        yield store


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sqlite3.Connection]:
    """A database whose transactions are the test's."""
    connection = opened(tmp_path / "holdgate.db")
    yield connection
    connection.close()
