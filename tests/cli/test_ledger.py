"""What was recorded can be read, searched and proven, with no server."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.invocation import opened_store
from gateway.model import Event
from gateway.settings import Home
from tests.acme import Acme
from tests.cli.command import Ended, Holdgate, one_sentence
from tests.living import Place
from tests.services import eventually

LOOK = ("call", "billing_lookup_invoice", "--as", "bot", "--arg", "invoice=inv_1001", "--json")


def key_id(made: Ended) -> str:
    """The id of a key that `keys create` printed."""
    return made.out.split("_")[1]


def keys_ls(holdgate: Holdgate, *words: str) -> dict[str, Any]:
    """What `keys ls --json` tells, by principal."""
    return {person["principal"]: person for person in holdgate("keys", "ls", "--json", *words).json}


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


def test_a_long_ledger_is_told_whole_and_in_order(home: Path, holdgate: Holdgate) -> None:
    """However many lines match, each is told once."""
    with opened_store(Home(home / "holdgate.yaml")) as store:
        store.transact(lambda tx: [tx.ledger.append(Event.CONFIG, tenant="default", policy="x") for _ in range(2_100)])
    told = [line["seq"] for line in holdgate("ledger", "query", "--event", "CONFIG", "--json").jsons]
    assert told == list(range(told[0], told[0] + 2_100))


def test_what_nobody_knows_is_listed_with_who_finds_out(gateway: Holdgate, acme: Acme) -> None:
    """`ledger unknown` names each write without a known outcome, until somebody has settled it (I-7, I-11)."""
    assert gateway("ledger", "unknown").out == "No outcome is unknown.\n"
    gateway("keys", "create", "operator", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_before", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    action = gateway(*refund).json["action_id"]
    (open_one,) = gateway("ledger", "unknown", "--json").json
    assert (open_one["action_id"], open_one["tool"], open_one["principal"]) == (action, "plain_refund", "bot")
    assert open_one["tried_again_at"] is None
    assert "an operator" in gateway("ledger", "unknown").out
    assert gateway("resolve", action, "--happened", "no", "--because", "Not in Acme's books.").code == 0
    assert gateway("ledger", "unknown", "--json").json == []
    assert "failed" in gateway("ledger", "query", "--event", "RECONCILE").out
    assert "operator" in gateway("ledger", "query", "--event", "RECONCILE").out


def test_an_operator_settles_what_nobody_could_find_out(gateway: Holdgate, acme: Acme) -> None:
    """resolve wants the operator role, works once, gives the claim back, and leaves a RECONCILE line (I-6)."""
    gateway("keys", "create", "ops", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_before", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    unknown = gateway(*refund).json
    assert unknown["status"] == "unknown"
    assert unknown["action_id"] in gateway("ledger", "verify").out
    words = ("resolve", unknown["action_id"], "--happened", "no", "--because", "Not in Acme's books.")
    assert "operator role" in one_sentence(gateway(*words, "--as", "fay"), 1)
    assert gateway(*words, "--as", "ops", "--json").json["state"] == "failed"
    one_sentence(gateway(*words, "--as", "ops"), 1)
    line = gateway("ledger", "query", "--event", "RECONCILE", "--json").jsons[-1]
    assert (line["how"], line["because"]) == ("operator", "Not in Acme's books.")
    assert line["by"].endswith(" as ops")
    assert gateway(*refund).json["status"] == "done"


def test_what_an_operator_saw_happen_is_not_done_again(gateway: Holdgate, acme: Acme) -> None:
    """Resolved as happened, a repeat is answered from it and nothing is sent (I-12)."""
    gateway("keys", "create", "operator", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_after", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    unknown = gateway(*refund).json
    assert gateway("resolve", unknown["action_id"], "--happened", "yes", "--because", "It is there.").code == 0
    repeat = gateway(*refund).json
    assert (repeat["status"], repeat["action_id"]) == ("replayed", unknown["action_id"])
    assert len(acme.mutating()) == 1
    assert gateway("ledger", "verify").code in (0, 3)


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


def test_a_key_is_shown_once_and_never_again(holdgate: Holdgate, home: Path) -> None:
    """keys create prints the key; ls, the ledger and the database have its id and hash only (A-3)."""
    made = holdgate("keys", "create", "mina", "--kind", "human", "--group", "finance", "--role", "approver")
    key = made.out.strip()
    assert made.code == 0
    secret = key.split("_", 2)[2]
    assert secret not in holdgate("keys", "ls", "--json").out + holdgate("ledger", "tail", "--json").out
    assert not any(secret.encode() in file.read_bytes() for file in home.rglob("*") if file.is_file())
    listed = {person["principal"]: person for person in holdgate("keys", "ls", "--json").json}
    assert (listed["mina"]["roles"], listed["mina"]["groups"]) == (["approver"], ["finance"])


def test_duties_are_kept_apart(holdgate: Holdgate) -> None:
    """No agent approves, and no operator does (A-5, H-5); a change of duties is on the ledger."""
    assert "Only a human" in one_sentence(holdgate("keys", "create", "bot", "--role", "approver"), 1)
    both = ("--kind", "human", "--role", "approver", "--role", "operator")
    assert "at once" in one_sentence(holdgate("keys", "create", "mina", *both), 1)
    assert holdgate("keys", "create", "mina", "--kind", "human", "--role", "approver").code == 0
    changes = [line["change"] for line in holdgate("ledger", "query", "--principal", "mina", "--json").jsons]
    assert changes == ["principal", "created"]


def test_a_new_key_tells_what_it_changed_of_its_principal(holdgate: Holdgate) -> None:
    """Options that change somebody who was there are told, each with what it was; a key alone changes nobody."""
    made = holdgate("keys", "create", "clerk", "--group", "billing")
    assert "Changed" not in made.err
    assert "Changed" not in holdgate("keys", "create", "clerk").err
    assert holdgate("keys", "revoke", key_id(made)).code == 0
    told = holdgate("keys", "create", "clerk", "--group", "finance").err
    assert "Changed clerk: groups was billing and is finance." in told


def test_no_key_that_an_agent_holds_becomes_a_humans(holdgate: Holdgate) -> None:
    """H-5: an agent is made a human once none of its keys opens anything, and never before."""
    made = holdgate("keys", "create", "clerk")
    human = ("keys", "create", "clerk", "--kind", "human", "--role", "approver")
    told = one_sentence(holdgate(*human), 1)
    assert f"holdgate keys revoke {key_id(made)}" in told
    assert holdgate("keys", "revoke", key_id(made)).code == 0
    assert "Changed clerk: kind was agent and is human." in holdgate(*human).err


def test_a_wrong_option_is_told_before_the_limit_of_two_keys(holdgate: Holdgate) -> None:
    """Whoever is told to revoke a key first should not hear after it that the owner is misspelled."""
    for _ in range(2):
        assert holdgate("keys", "create", "clerk").code == 0
    assert "There is no principal mnia" in one_sentence(holdgate("keys", "create", "clerk", "--owner", "mnia"), 1)
    assert "Only a human may approve" in one_sentence(holdgate("keys", "create", "clerk", "--role", "approver"), 1)
    assert "2 active keys" in one_sentence(holdgate("keys", "create", "clerk", "--group", "billing"), 1)


def test_somebody_disabled_is_let_in_before_a_new_key(holdgate: Holdgate) -> None:
    """The refusal names the command, and nothing of the principal is changed."""
    holdgate("keys", "create", "clerk", "--group", "billing")
    holdgate("keys", "disable", "clerk")
    told = one_sentence(holdgate("keys", "create", "clerk", "--group", "finance"), 1)
    assert "holdgate keys enable clerk" in told
    assert keys_ls(holdgate)["clerk"]["groups"] == ["billing"]


def test_keys_that_open_nothing_are_listed_on_demand(holdgate: Holdgate) -> None:
    """`keys ls` shows what opens something and says how much it leaves out; `--all` shows every key there was."""
    old, new = (key_id(holdgate("keys", "create", "clerk")) for _ in range(2))
    assert "not shown" not in holdgate("keys", "ls").err
    assert holdgate("keys", "revoke", old).code == 0
    listed = holdgate("keys", "ls")
    assert old not in listed.out
    assert listed.err == "1 revoked or expired key not shown; --all shows every key.\n"
    assert [key["id"] for key in keys_ls(holdgate)["clerk"]["keys"]] == [new]
    states = {key["id"]: key["state"] for key in keys_ls(holdgate, "--all")["clerk"]["keys"]}
    assert states == {old: "revoked", new: "active"}
    assert f"{old} (revoked)" in holdgate("keys", "ls", "--all").out


def test_an_owner_is_some_human(holdgate: Holdgate) -> None:
    """A misspelled owner, or another agent, would leave the true one free to approve what the agent asks for (H-5)."""
    holdgate("keys", "create", "mina", "--kind", "human", "--role", "approver")
    told = one_sentence(holdgate("keys", "create", "helper", "--owner", "mnia"), 1)
    assert "There is no principal mnia" in told
    assert "helper" not in holdgate("keys", "ls").out
    assert holdgate("keys", "create", "helper", "--owner", "mina").code == 0
    told = one_sentence(holdgate("keys", "create", "helpers-helper", "--owner", "helper"), 1)
    assert "helper is of kind agent" in told
    assert "--owner mina" in told


def test_acts_on_the_machine_name_the_user_and_the_principal(holdgate: Holdgate) -> None:
    """With --as, `by` has both the operating system's user and the principal whose key is kept."""
    holdgate("kill", "everything", "--because", "a drill", "--as", "operator")
    assert holdgate("kill", "ls", "--json").json[0]["by"].endswith(" as operator")
    eventually(lambda: holdgate("doctor").out.count("Stopped: everything"), "doctor to tell of the stop")
