"""A back-up is whole, whatever else goes on; docs/operations.md restores one."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from gateway.ledger_line import Event
from gateway.setup import open_store
from tests.cli.command import Holdgate, one_sentence
from tests.place import TENANT, Place


def test_a_backup_under_writes_is_one_moment_of_the_ledger(before_acme: Holdgate, place: Place, tmp_path: Path) -> None:
    """While another process appends without a pause, the copy has all lines until then, and verifies (L-7)."""
    stop, store = threading.Event(), open_store(place.home)

    def append() -> int:
        return store.transact(lambda tx: tx.ledger.append(Event.CONFIG, tenant=TENANT, change="of the test")).seq

    def write_on() -> None:
        while not stop.is_set():
            append()

    before = append()
    writer = threading.Thread(target=write_on)
    writer.start()
    try:
        made = before_acme("backup", str(tmp_path / "copy"), "--json")
    finally:
        stop.set()
        writer.join()
        after = append()
        store.close()
    assert made.code == 0, made.err
    place.write_settings(data=str(tmp_path / "copy"))
    checked = before_acme("ledger", "verify", "--json").json
    assert before <= checked["lines"] == made.json["lines"] <= after
    assert checked["verdict"] in ("ok", "unanchored")


def test_a_backup_has_what_opens_it_and_nothing_of_running_processes(gateway: Holdgate, tmp_path: Path) -> None:
    """The gateway's key, the vault, kept keys: for their owner only; no lock of the gateway that serves meanwhile."""
    assert gateway("backup", str(tmp_path / "copy")).code == 0
    copied = {path.relative_to(tmp_path / "copy").as_posix() for path in (tmp_path / "copy").rglob("*")}
    assert {"holdgate.db", "gateway.key", "vault.enc", "keys/bot.key"} <= copied
    assert not [name for name in copied if name.endswith((".lock", "-wal", "-shm")) or name.startswith("instances")]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "copy").rglob("*"))
    assert (tmp_path / "copy").stat().st_mode & 0o077 == 0


def test_a_backup_is_closed_to_others_before_a_key_is_in_it(before_acme: Holdgate, tmp_path: Path) -> None:
    """A file that is being copied has the permissions of a new one, so its folder lets nobody else in."""
    seen: list[int] = []
    watching = True

    def watch(event: str, given: tuple[object, ...]) -> None:
        if watching and event == "shutil.copyfile" and (folder := tmp_path / ".copy.unfinished").exists():
            seen.append(folder.stat().st_mode & 0o777)

    sys.addaudithook(watch)
    assert before_acme("backup", str(tmp_path / "copy")).code == 0
    watching = False
    assert set(seen) == {0o700}


def test_a_backup_overwrites_nothing_and_leaves_no_half(before_acme: Holdgate, place: Place, tmp_path: Path) -> None:
    """An existing folder, a place that cannot be written and a database that cannot be read are one sentence each."""
    for there in (str(tmp_path), ".", "/"):
        assert "overwrites nothing" in one_sentence(before_acme("backup", there), 3)
    (tmp_path / "file").write_text("")
    assert "cannot be written" in one_sentence(before_acme("backup", str(tmp_path / "file" / "copy")), 3)
    place.home.database.write_bytes(b"no database" * 1000)
    assert "not a Holdgate database" in one_sentence(before_acme("backup", str(tmp_path / "copy")), 3)
    assert not list(tmp_path.glob("*copy*"))
