"""What was recorded can be read, searched and proven, with no server."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.cli.invocation import opened_store
from gateway.ledger_line import Event
from gateway.settings import Home
from tests.cli.command import Holdgate, one_sentence
from tests.place import Place

LOOK = ("call", "billing_lookup_invoice", "--as", "bot", "--arg", "invoice=inv_1001", "--json")


def database(home: Path) -> sqlite3.Connection:
    """The ledger's file, opened by somebody who means it harm."""
    connection = sqlite3.connect(home / "holdgate-data" / "holdgate.db", isolation_level=None)
    connection.execute("DROP TRIGGER ledger_is_append_only_update")
    connection.execute("DROP TRIGGER ledger_is_append_only_delete")
    return connection


def verdict(holdgate: Holdgate, *more: str) -> tuple[int, str]:
    ended = holdgate("ledger", "verify", "--json", *more)
    return ended.code, ended.json["verdict"]


def test_verify_speaks_in_exit_codes(home: Path, holdgate: Holdgate) -> None:
    """3 before any checkpoint, 1 for a changed line, 2 for a missing one (L-7, S34)."""
    holdgate("kill", "everything", "--because", "a drill")
    assert verdict(holdgate) == (3, "unanchored")
    connection = database(home)
    connection.execute("UPDATE ledger SET text = replace(text, 'stopped', 'resumed')")
    assert verdict(holdgate) == (1, "tampered")
    connection.execute("UPDATE ledger SET text = replace(text, 'resumed', 'stopped')")
    connection.execute("DELETE FROM ledger WHERE seq = 2")
    connection.close()
    assert verdict(holdgate) == (2, "gap")


def test_a_served_ledger_is_sound_and_anchored(before_acme: Holdgate, place: Place, tmp_path: Path) -> None:
    """A stopped gateway has signed its end; a copy of its notes anchors it, and finds a cut tail (L-4, L-7)."""
    with before_acme.serving():
        assert before_acme(*LOOK).code == 0
    assert before_acme.program("ledger", "verify").code == 0
    copy = tmp_path / "copy.notes"
    copy.write_bytes((place.folder / "data" / "checkpoints.notes").read_bytes())
    assert verdict(before_acme, "--anchor", str(copy)) == (0, "ok")
    (tmp_path / "empty").write_text("")
    one_sentence(before_acme("ledger", "verify", "--anchor", str(tmp_path / "empty")), 3)


def test_the_story_of_an_action_shows_its_bodies_only_when_asked(gateway: Holdgate) -> None:
    """ledger show tells every line in order; arguments and answers are decrypted with --bodies alone (L-5, L-6)."""
    action = gateway(*LOOK).json["action_id"]
    plain, opened = gateway("ledger", "show", action), gateway("ledger", "show", action, "--bodies")
    assert "INTENT" in plain.out
    assert "It ended: succeeded." in plain.out
    assert "inv_1001" not in plain.out
    assert "inv_1001" in opened.out
    bodies = gateway("ledger", "show", action[:14], "--bodies", "--json").json["bodies"]
    assert bodies["arguments"] == {"invoice": "inv_1001"}


def test_lines_are_found_by_tool_principal_event_and_time(gateway: Holdgate) -> None:
    """query matches every option given, and prints one JSON object a line."""
    task = "tsk-of-the-test"
    assert gateway(*LOOK, "--task", task).code == 0
    found = gateway("ledger", "query", "--tool", "billing_lookup_invoice", "--principal", "bot", "--json").jsons
    assert [line["event"] for line in found] == ["INTENT", "OUTCOME"]
    assert len(gateway("ledger", "query", "--task", found[0]["task"], "--since", "1h", "--json").jsons) == 2
    assert gateway("ledger", "query", "--since", "2099-01-01T00:00:00Z", "--json").jsons == []
    assert gateway("ledger", "query", "--since", "2099-01-01T00:00:00Z").out == "No line matches.\n"
    assert gateway("ledger", "tail", "-n", "1", "--json").jsons[0]["seq"] == found[-1]["seq"]


def test_a_task_is_found_by_what_its_client_called_it(gateway: Holdgate) -> None:
    """The ledger holds a keyed hash of the name; whoever has the gateway's key finds it by the name (L-5, I-16)."""
    seen = [gateway(*LOOK, "--task", name).json["action_id"] for name in ("tic_2001", "tic_2002")]
    for name, action in zip(("tic_2001", "tic_2002"), seen, strict=True):
        lines = gateway("ledger", "query", "--task", name, "--json").jsons
        assert [(line["event"], line["action"]) for line in lines] == [("INTENT", action), ("OUTCOME", action)]
        assert name not in str(lines)
    assert gateway("call", "crm_update_customer", "--as", "bot", "--arg", "customer=x", "--task", "tic_2001").code == 1
    assert gateway("ledger", "query", "--task", "tic_2001", "--event", "REFUSED", "--json").jsons
    assert gateway("ledger", "query", "--task", "tic_2001", "--principal", "fay").out == "No line matches.\n"


def test_refusals_are_found_by_their_code_and_lines_up_to_a_moment(gateway: Holdgate) -> None:
    """--code tells one kind of refusal from the others; --since and --until are a stretch of time, the end left out."""
    assert gateway("call", "crm_update_customer", "--as", "bot", "--arg", "customer=nobody").code == 1
    (refused,) = gateway("ledger", "query", "--code", "invalid_arguments", "--json").jsons
    assert (refused["event"], refused["principal"]) == ("REFUSED", "bot")
    assert gateway("ledger", "query", "--code", "not_permitted").out == "No line matches.\n"
    moment = datetime.fromtimestamp(refused["at"] / 1000, UTC).isoformat()
    before = gateway("ledger", "query", "--until", moment, "--json").jsons
    after = gateway("ledger", "query", "--since", moment, "--json").jsons
    assert after[0] == refused
    assert [line["seq"] for line in before + after] == list(range(1, len(before + after) + 1))
    assert "no time" in one_sentence(gateway("ledger", "query", "--until", "noon"), 1)


def test_a_misspelled_name_does_not_read_as_if_nothing_had_happened(holdgate: Holdgate) -> None:
    """A principal or a code that nobody has is an error, and not an empty answer."""
    told = one_sentence(holdgate("ledger", "query", "--principal", "suport-agent"), 1)
    assert told == "holdgate: There is no principal suport-agent. Did you mean support-agent?"
    assert "Did you mean not_permitted?" in one_sentence(holdgate("ledger", "query", "--code", "not_permited"), 1)


def test_a_line_says_in_short_what_is_particular_to_its_event(holdgate: Holdgate) -> None:
    """A reader of many lines sees which process began and ended, and why somebody stopped what."""
    with holdgate.serving():
        holdgate("kill", "everything", "--because", "a drill")
    opened, stopped, closed = holdgate("ledger", "tail", "-n", "3").out.splitlines()
    (instance,) = (line["instance"] for line in holdgate("ledger", "query", "--event", "WRITER_OPEN", "--json").jsons)
    assert opened.endswith(f"WRITER_OPEN  {instance}")
    assert closed.endswith(f"WRITER_CLOSE {instance}")
    assert stopped.endswith(" a drill")


def test_a_long_ledger_is_told_whole_and_in_order(home: Path, holdgate: Holdgate) -> None:
    """However many lines match, each is told once."""
    with opened_store(Home(home / "holdgate.yaml")) as store:
        store.transact(lambda tx: [tx.ledger.append(Event.CONFIG, tenant="default", policy="x") for _ in range(2_100)])
    told = [line["seq"] for line in holdgate("ledger", "query", "--event", "CONFIG", "--json").jsons]
    assert told == list(range(told[0], told[0] + 2_100))


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("nowhere", "There is no such file."),
        (".", "This cannot be read: Is a directory."),
        ("holdgate.yaml", "There is no checkpoint in this file."),
    ],
)
def test_what_is_no_anchor_is_told_what_an_anchor_is(holdgate: Holdgate, home: Path, name: str, wrong: str) -> None:
    """A mistyped anchor is neither a sound ledger nor a fault of Holdgate's: the next step is told (L-4)."""
    told = one_sentence(holdgate("ledger", "verify", "--anchor", str(home / name)), 3)
    assert wrong in told
    assert "An anchor is a copy of the data folder's checkpoints.notes" in told


def test_tail_follows_until_it_is_stopped(holdgate: Holdgate) -> None:
    """tail --follow prints what another process writes, and Ctrl-C ends it with exit 0."""
    import signal
    import subprocess

    from tests.cli.command import PROGRAM

    process = subprocess.Popen(
        [*PROGRAM, "--config", str(holdgate.config), "ledger", "tail", "--follow", "--json", "-n", "1"],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert '"KEY"' in process.stdout.readline()
    holdgate("kill", "everything", "--because", "a drill")
    assert '"SWITCH"' in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0
    process.stdout.close()
