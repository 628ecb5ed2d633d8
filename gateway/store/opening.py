"""Opening a database file: connections, numbered migrations, and plain words for what can be wrong with it."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib import resources
from pathlib import Path

from gateway.errors import StartupError

SCHEMA_VERSION = 3
_BUSY_MS = 5_000


def connect(path: Path, *, read_only: bool = False) -> sqlite3.Connection:
    """A connection in autocommit, with WAL and synchronous=FULL where it may write (semantics.md I-6)."""
    mode = "ro" if read_only else "rwc"
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=_BUSY_MS / 1000,
        cached_statements=256,
    )
    connection.row_factory = sqlite3.Row
    with _closed_on_error(connection):
        connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        if not read_only:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            connection.execute("PRAGMA foreign_keys=ON")
    return connection


def opened(path: Path) -> sqlite3.Connection:
    """The writing connection of a file that is made, or brought up to date, where needed.

    Raises:
        StartupError: it cannot be opened, is damaged, or was written by a newer Holdgate.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        connection = connect(path)
        with _closed_on_error(connection):
            path.chmod(0o600)
            _migrate(connection, path)
    except (sqlite3.Error, OSError) as broken:
        raise StartupError(explain(broken, path), file=str(path), remedy=_remedy(broken)) from broken
    return connection


@contextmanager
def _closed_on_error(connection: sqlite3.Connection) -> Iterator[None]:
    """A file that is refused is let go of: whoever reports the error may hold on to it for long."""
    try:
        yield
    except BaseException:
        connection.close()
        raise


def copy(path: Path, to: Path) -> int:
    """Copy a database that others may be writing to, as it was at one moment. How many ledger lines it has.

    Raises:
        StartupError: it cannot be read, or not be written there.
    """
    try:
        with closing(connect(path, read_only=True)) as source, closing(connect(to)) as target:
            source.backup(target)  # in one step, from one snapshot: a writer is neither waited for nor kept waiting
            (lines,) = target.execute("SELECT COUNT(*) FROM ledger").fetchone()
        to.chmod(0o600)
    except sqlite3.Error as broken:
        raise StartupError(explain(broken, path), file=str(to), remedy=_remedy(broken)) from broken
    return int(lines)


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise StartupError(
            f"The database was written by a newer Holdgate (schema {version}, this one knows {SCHEMA_VERSION}).",
            file=str(path),
            remedy="Upgrade Holdgate, or restore the back-up made before the upgrade.",
        )
    scripts = sorted(resources.files("gateway.store").joinpath("migrations").iterdir(), key=lambda script: script.name)
    for script in scripts:
        if script.name.endswith(".sql") and int(script.name[:4]) > version:
            for statement in _statements(script.read_text(encoding="utf-8")):
                connection.execute(statement)
    # To a file that is up to date not even this is written: such a commit would copy the log that others write to.
    if version < SCHEMA_VERSION:
        connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")


def _statements(script: str) -> list[str]:
    """Split a migration at its semicolons; `executescript` would commit behind our back."""
    statements: list[str] = []
    pending = ""
    for line in script.splitlines():
        pending += re.sub(r"--.*$", "", line) + "\n"
        if sqlite3.complete_statement(pending):
            statements.append(pending.strip())
            pending = ""
    return [statement for statement in statements if statement]


def explain(broken: Exception, path: Path) -> str:
    """What a database error means, in one sentence for whoever runs the gateway."""
    code = getattr(broken, "sqlite_errorname", "") or type(broken).__name__
    meanings = {
        "SQLITE_BUSY": "The database is locked by another program.",
        "SQLITE_FULL": "The disk is full: actions cannot be recorded.",
        "SQLITE_READONLY": "The database is read-only.",
        "SQLITE_CANTOPEN": "The database cannot be opened.",
        "SQLITE_CORRUPT": "The database is damaged.",
        "SQLITE_NOTADB": "The file is not a Holdgate database.",
        "SQLITE_IOERR": "The disk reported an error.",
        "PermissionError": "The data folder may not be written to.",
    }
    for name, meaning in meanings.items():
        if code.startswith(name):
            return meaning
    return f"The database cannot be used ({code})."


def _remedy(broken: Exception) -> str:
    code = getattr(broken, "sqlite_errorname", "") or type(broken).__name__
    if code.startswith("SQLITE_BUSY"):
        return "Close the program that has it open (a database browser, a back-up), then start again."
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return "Keep the file, restore the last back-up, and run `holdgate ledger verify`."
    if code.startswith("SQLITE_FULL"):
        return "Free some space, then start again; nothing was lost."
    return "Check the folder's owner, permissions and mount, then start again."
