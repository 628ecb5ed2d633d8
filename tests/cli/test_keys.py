"""Keys and principals from the command line: what is shown once, who may be what, and who let whom in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.cli.command import Ended, Holdgate, one_sentence
from tests.services import eventually


def key_id(made: Ended) -> str:
    """The id of a key that `keys create` printed."""
    return made.out.split("_")[1]


def keys_ls(holdgate: Holdgate, *words: str) -> dict[str, Any]:
    """What `keys ls --json` tells, by principal."""
    return {person["principal"]: person for person in holdgate("keys", "ls", "--json", *words).json}


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


def test_a_key_that_cannot_be_kept_opens_nothing(holdgate: Holdgate, home: Path) -> None:
    """A-3: nobody has it, and it would be one of two; what was kept before still is, and nothing half lies about."""
    assert holdgate("keys", "create", "clerk", "--keep").code == 0
    (kept,) = home.rglob("clerk.key")
    key = kept.read_text()
    kept.rename(kept.with_name("aside"))
    kept.mkdir()
    told = one_sentence(holdgate("keys", "create", "clerk", "--keep"), 3)
    assert "cannot be kept, and was revoked" in told
    kept.rmdir()
    kept.with_name("aside").rename(kept)
    assert [entry["id"] for entry in keys_ls(holdgate)["clerk"]["keys"]] == [key.split("_")[1]]
    assert not [file for file in kept.parent.iterdir() if file.name.startswith(".")]


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
