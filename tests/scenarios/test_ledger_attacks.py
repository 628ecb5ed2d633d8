"""Somebody with the database file: what they change, and what verification says of it (semantics.md L-7, S34)."""

from __future__ import annotations

import asyncio
import hashlib
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import LedgerUnavailable
from gateway.keyring import Keyring
from gateway.ledger.checkpoint import Checkpointer, notes_in
from gateway.ledger.verify import Integrity, verify
from gateway.ledger_line import Event
from gateway.setup import open_store
from gateway.store.transaction import Transaction
from tests.acme import Acme
from tests.house import house
from tests.place import Place

pytestmark = pytest.mark.anyio

Attack = Callable[[sqlite3.Connection], None]


@pytest.fixture
def written(place: Place, acme: Acme) -> Place:
    """A place whose ledger tells of a few calls, is signed, and verifies."""

    async def scenario() -> None:
        async with house(place) as gateway:
            for cents in range(1, 6):
                await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": cents})

    asyncio.run(scenario())
    report = place.verify()
    assert (report.verdict, report.findings) == (Integrity.OK, [])
    assert report.lines > 10
    return place


def attack(place: Place, how: Attack) -> None:
    """Change the file as somebody who may write it would: the triggers are theirs to drop."""
    connection = sqlite3.connect(place.home.database, isolation_level=None)
    for trigger in ("ledger_is_append_only_update", "ledger_is_append_only_delete"):
        connection.execute(f"DROP TRIGGER {trigger}")
    how(connection)
    connection.close()


def flip(file: sqlite3.Connection) -> None:
    file.execute('UPDATE ledger SET text = replace(text, \'"principal":"bot"\', \'"principal":"fay"\') WHERE seq = 12')
    assert file.execute("SELECT changes()").fetchone() == (1,)


def flip_and_rehash_one(file: sqlite3.Connection) -> None:
    """Change a line and give it the hash of its new text, and leave the lines after it alone."""
    flip(file)
    (text,) = file.execute("SELECT text FROM ledger WHERE seq = 12").fetchone()
    file.execute("UPDATE ledger SET hash = ? WHERE seq = 12", (hashlib.sha256(text.encode()).hexdigest(),))


def flip_and_rehash(file: sqlite3.Connection) -> None:
    """Change a line, and write the whole chain after it anew."""
    previous = None
    for seq, text in file.execute("SELECT seq, text FROM ledger WHERE seq >= 12 ORDER BY seq").fetchall():
        line = json.loads(text)
        if previous is None:
            line["principal"] = "fay"
        else:
            line["prev"] = previous
        text = json.dumps(line, sort_keys=True, separators=(",", ":"))
        previous = hashlib.sha256(text.encode()).hexdigest()
        file.execute("UPDATE ledger SET text = ?, hash = ? WHERE seq = ?", (text, previous, seq))
    file.execute("UPDATE ledger_head SET hash = ?", (previous,))


def append_one(file: sqlite3.Connection) -> None:
    """Go on with the chain, behind the head."""
    seq, text, previous = file.execute("SELECT seq, text, hash FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
    text = json.dumps({**json.loads(text), "seq": seq + 1, "prev": previous}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(text.encode()).hexdigest()
    file.execute("INSERT INTO ledger (seq, hash, text) VALUES (?, ?, ?)", (seq + 1, digest, text))


def delete_one(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM ledger WHERE seq = 12")


def delete_and_close_ranks(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM ledger WHERE seq = 12")
    file.execute("UPDATE ledger SET seq = seq - 1 WHERE seq > 12")


def swap(file: sqlite3.Connection) -> None:
    (one, two) = file.execute("SELECT text, hash FROM ledger WHERE seq IN (12, 13) ORDER BY seq").fetchall()
    file.execute("UPDATE ledger SET text = ?, hash = ? WHERE seq = 12", two)
    file.execute("UPDATE ledger SET text = ?, hash = ? WHERE seq = 13", one)


def cut(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM ledger WHERE seq > 12")


def cut_and_move_the_head(file: sqlite3.Connection) -> None:
    cut(file)
    file.execute("UPDATE ledger_head SET seq = 12, hash = (SELECT hash FROM ledger WHERE seq = 12)")
    file.execute("DELETE FROM checkpoints")


def behead(file: sqlite3.Connection) -> None:
    file.execute("DELETE FROM ledger_head")


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        (flip, Integrity.TAMPERED),
        (flip_and_rehash_one, Integrity.TAMPERED),
        (flip_and_rehash, Integrity.TAMPERED),
        (append_one, Integrity.TAMPERED),
        (delete_one, Integrity.GAP),
        (delete_and_close_ranks, Integrity.TAMPERED),
        (swap, Integrity.TAMPERED),
        (cut, Integrity.GAP),
        (cut_and_move_the_head, Integrity.TAMPERED),
        (behead, Integrity.TAMPERED),
    ],
)
def test_every_change_is_found(written: Place, how: Attack, verdict: Integrity) -> None:
    """S34, V-5: a flipped, deleted, exchanged, cut or added line is found, and said in words."""
    attack(written, how)
    report = written.verify()
    assert report.verdict == verdict, report.findings
    assert report.findings


def test_a_line_that_no_checkpoint_speaks_of_is_held_by_the_head(written: Place) -> None:
    """L-3, V-5: the last one, told otherwise and with the hash of its new text."""

    def retell(file: sqlite3.Connection) -> None:
        (text,) = file.execute("SELECT text FROM ledger ORDER BY seq DESC LIMIT 1").fetchone()
        told = text.replace("of the day", "of the night")
        new = (told, hashlib.sha256(told.encode()).hexdigest(), text)
        file.execute("UPDATE ledger SET text = ?, hash = ? WHERE text = ?", new)

    written.transact(lambda tx: tx.ledger.append(Event.CONFIG, change="of the day"))
    assert written.verify().verdict == Integrity.OK
    attack(written, retell)
    assert written.verify().verdict == Integrity.TAMPERED


HELD = {"action": "act_1", "effect": "write", "mode": "run"}
VOTE = {"action": "act_1", "principal": "fay", "digest": "d1", "verdict": "approve", "accepted": True}
SPENT = {"action": "act_1", "approvers": ["fay"], "digest": "d1"}
WROTE = {**HELD, "state": "succeeded"}
Line = tuple[Event, dict[str, Any]]


@pytest.mark.parametrize(
    ("lines", "finding"),
    [
        ([(Event.HOLD_CREATED, HELD), (Event.INTENT, HELD), (Event.OUTCOME, WROTE)], "ran without an approval (V-3)"),
        ([(Event.HOLD_CREATED, HELD), (Event.CONSUMED, SPENT)], "approved by fay, who cast no such vote (V-3)"),
        ([(Event.VOTE, {**VOTE, "digest": "d2"}), (Event.CONSUMED, SPENT)], "cast no such vote (V-3)"),
        ([(Event.VOTE, {**VOTE, "accepted": False}), (Event.CONSUMED, SPENT)], "cast no such vote (V-3)"),
        ([(Event.VOTE, {**VOTE, "verdict": "deny"}), (Event.CONSUMED, SPENT)], "cast no such vote (V-3)"),
        ([(Event.VOTE, VOTE), (Event.CONSUMED, SPENT), (Event.CONSUMED, SPENT)], "was spent twice (V-3)"),
        ([(Event.OUTCOME, WROTE)], "has an outcome and no intent (V-2)"),
        ([(Event.INTENT, HELD)], "is not listed as unknown (V-4)"),
    ],
)
def test_a_chain_that_is_whole_may_still_tell_a_lie(written: Place, lines: list[Line], finding: str) -> None:
    """L-7, V-3, V-4: every hash fits and every seal is the gateway's own, and the story makes no sense."""
    written.transact(lambda tx: [tx.ledger.append(event, **facts) for event, facts in lines])
    report = written.verify()
    assert report.verdict is Integrity.SEMANTIC
    assert any(finding in found for found in report.findings), report.findings


def test_of_several_findings_the_gravest_is_the_verdict(place: Place) -> None:
    """L-7: a story that makes no sense is worse than one that nothing anchors yet; the lesser finding is told, too."""

    def tell(event: Event, facts: dict[str, Any]) -> None:
        place.transact(lambda tx: tx.ledger.append(event, **facts))

    tell(Event.CONFIG, {"change": "of the day"})
    assert place.verify().verdict is Integrity.UNANCHORED
    tell(Event.OUTCOME, WROTE)
    report = place.verify()
    assert report.verdict is Integrity.SEMANTIC
    assert any("nothing anchors" in found for found in report.findings)


def test_a_line_in_another_ones_place_is_said_to_be(written: Place) -> None:
    """L-7: its text says which line it is."""
    attack(written, swap)
    assert any("it says that it is line" in found for found in written.verify().findings)


def test_a_story_with_a_vote_for_what_was_spent_is_sound(written: Place) -> None:
    """The same lines, in their order and for one digest, are found to be in order."""
    story = [(Event.HOLD_CREATED, HELD), (Event.VOTE, VOTE), (Event.CONSUMED, SPENT), (Event.INTENT, HELD)]
    written.transact(lambda tx: [tx.ledger.append(event, **facts) for event, facts in [*story, (Event.OUTCOME, WROTE)]])
    assert (written.verify().verdict, written.verify().findings) == (Integrity.OK, [])


async def test_an_older_database_is_found_by_what_was_published(place: Place, acme: Acme) -> None:
    """S34, L-4: the whole file put back to an earlier day verifies by itself, and not beside the published notes."""
    older = place.folder / "older.db"

    async def one_day(cents: int) -> None:
        async with house(place) as gateway:
            await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": cents})

    await one_day(1)
    notes_then = shutil.copy(place.home.checkpoints, place.folder / "notes-then")
    _snapshot(place.home.database, older)
    await one_day(2)
    for leftover in place.home.data.glob("holdgate.db-*"):
        leftover.unlink()
    shutil.copy(older, place.home.database)
    assert place.verify(published=Path(notes_then)).verdict == Integrity.OK
    report = place.verify()
    assert report.verdict == Integrity.GAP
    assert "The tail was cut" in report.findings[0]


def test_a_note_of_somebody_elses_is_no_anchor(written: Place) -> None:
    """S34, L-4: a published note whose size was edited no longer bears the signature."""
    notes = written.home.checkpoints
    lines = notes.read_text().split("\n")
    lines[1] = str(int(lines[1]) - 1)
    notes.write_text("\n".join(lines))
    assert written.verify().verdict == Integrity.TAMPERED


def test_a_ledger_that_was_rewritten_with_the_gateways_key_is_found_by_what_was_published(written: Place) -> None:
    """L-4: whoever has the key makes a chain and a head that fit, and no note that was copied away signs them."""
    ring = Keyring.load(written.home.gateway_key)
    elsewhere = Path(shutil.copy(written.home.checkpoints, written.folder / "elsewhere.notes"))

    def rewrite(file: sqlite3.Connection) -> None:
        flip_and_rehash(file)
        seq, hash = file.execute("SELECT seq, hash FROM ledger_head").fetchone()
        file.execute("UPDATE ledger_head SET mac = ?", (ring.head_mac(seq, hash),))
        file.execute("DELETE FROM checkpoints")

    attack(written, rewrite)
    written.home.checkpoints.unlink()
    assert written.verify().verdict == Integrity.UNANCHORED, "by itself it cannot be told from a true one"
    report = written.verify(published=elsewhere)
    assert report.verdict == Integrity.TAMPERED
    assert any("signed other lines" in found for found in report.findings), report.findings


async def test_what_somebody_else_made_the_end_is_not_signed(place: Place, acme: Acme) -> None:
    """L-4: a running gateway vouches for no head that it did not seal, by a line upon it or by a checkpoint."""
    async with house(place) as gateway:
        for cents in range(1, 6):
            await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": cents})
        published = place.home.checkpoints.read_text() if place.home.checkpoints.exists() else ""
        attack(place, cut_and_move_the_head)
        gateway.clock.turn(120)
        with pytest.raises(LedgerUnavailable, match="changed from outside"):
            await gateway.sweep()
        refused = await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": 9}, delivered=False)
        assert refused["code"] == "ledger_unavailable"
    assert (place.home.checkpoints.read_text() if place.home.checkpoints.exists() else "") == published
    assert len(acme.mutating()) == 5


def test_the_file_itself_refuses_an_honest_mistake(written: Place) -> None:
    """L-1: without dropping the triggers, a line can be neither changed nor deleted."""
    file = sqlite3.connect(written.home.database, isolation_level=None)
    for statement in ("UPDATE ledger SET text = '{}'", "DELETE FROM ledger"):
        with pytest.raises(sqlite3.IntegrityError, match="append-only"):
            file.execute(statement)
    file.close()


def _snapshot(database: Path, copy: Path) -> None:
    source, target = sqlite3.connect(database), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()


def forge_one(file: sqlite3.Connection) -> None:
    """Add a line that fits the chain, and move the head to it; its seal cannot be made without the key."""
    seq, previous = file.execute("SELECT seq, hash FROM ledger_head").fetchone()
    line = {"v": 1, "seq": seq + 1, "writer": "main", "at": 0, "event": "VOTE", "principal": "fay", "prev": previous}
    text = json.dumps(line, sort_keys=True, separators=(",", ":"))
    forged = (seq + 1, hashlib.sha256(text.encode()).hexdigest(), text)
    file.execute("INSERT INTO ledger (seq, hash, text) VALUES (?, ?, ?)", forged)
    file.execute("UPDATE ledger_head SET seq = ?, hash = ?", forged[:2])


def cut_the_last(file: sqlite3.Connection) -> None:
    """Remove the last line, and move the head to the one before."""
    file.execute("DELETE FROM ledger WHERE seq = (SELECT MAX(seq) FROM ledger)")
    file.execute("UPDATE ledger_head SET (seq, hash) = (SELECT seq, hash FROM ledger ORDER BY seq DESC LIMIT 1)")


@pytest.mark.parametrize("how", [forge_one, cut_the_last])
async def test_the_gateway_seals_nothing_that_it_did_not_write(place: Place, acme: Acme, how: Attack) -> None:
    """L-1, L-4, S34: a head that was moved by somebody else is never built upon, so nothing goes out, and it shows."""
    async with house(place) as gateway:
        await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": 1})
        attack(place, how)
        told = await gateway.call("plain_refund", {"invoice": "inv_1001", "cents": 2})
        assert (told["status"], told["code"]) == ("failed", "ledger_unavailable")
    assert len(acme.mutating()) == 1
    assert place.verify().verdict == Integrity.TAMPERED


def test_what_a_full_disk_left_of_a_note_is_no_attack(written: Place) -> None:
    """L-4: wherever it was cut, it is skipped, and the notes before and after it are read."""
    file, key = written.home.checkpoints, Keyring.load(written.home.gateway_key).checkpoint_key
    note = notes_in(file)[-1]
    for cut in range(len(note)):
        file.write_text(note + "\n" + note[:cut])
        Checkpointer(key, file).publish(note)
        # Of one that lacks nothing but its last line break, the whole is there.
        assert set(notes_in(file)) == {note}, note[cut:]
        assert len(notes_in(file)) == (3 if cut == len(note) - 1 else 2)
    file.write_text(note[:-20])
    Checkpointer(key, file).publish(note)
    assert written.verify().verdict == Integrity.OK


def test_a_gateway_that_goes_on_meanwhile_looks_like_no_cut(written: Place) -> None:
    """L-7: what is verified is one moment; a checkpoint that is published after it speaks of later lines."""
    ring = Keyring.load(written.home.gateway_key)
    checkpointer = Checkpointer(ring.checkpoint_key, written.home.checkpoints)

    def one_more(tx: Transaction) -> str | None:
        tx.ledger.append(Event.CONFIG, tenant="default")
        return checkpointer.make(tx, force=True)

    def meanwhile(seq: int, hash: str) -> str:
        note = written.transact(one_more)
        assert note is not None
        checkpointer.publish(note)
        return ring.head_mac(seq, hash)

    before = written.verify().lines
    store = open_store(written.home)
    key, notes = ring.checkpoint_key.public_key(), written.home.checkpoints
    report = store.look(lambda tx: verify(tx, meanwhile, key, notes))
    store.close()
    assert (report.verdict, report.lines) == (Integrity.OK, before)
    assert (written.verify().verdict, written.verify().lines) == (Integrity.OK, before + 1)
