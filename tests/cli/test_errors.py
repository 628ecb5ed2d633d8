"""Whatever a user gets wrong, they are told in one sentence, with a stable exit code and no traceback."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import Holdgate, one_sentence


def test_a_missing_settings_file_names_init(tmp_path: Path) -> None:
    """As a program: exit 3, one line, the remedy in it."""
    assert "holdgate init" in one_sentence(Holdgate(tmp_path / "none.yaml").program("kill", "ls"), 3)


def test_a_demo_beside_is_named_where_no_settings_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who tried the demo, and opened another terminal, is told the one line that was forgotten."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holdgate-demo").mkdir()
    (tmp_path / "holdgate-demo" / "holdgate.yaml").write_text("")
    sentence = one_sentence(Holdgate(Path("holdgate.yaml"))("tools", "ls"), 3)
    assert '`export HOLDGATE_CONFIG="$PWD/holdgate-demo/holdgate.yaml"`' in sentence


def test_a_misspelled_name_with_a_kept_key_is_told(holdgate: Holdgate) -> None:
    """Else the advice would be to make an agent of that name; where none is near, it is to make a key."""
    near, far = (one_sentence(holdgate("connect", "claude", "--as", name), 1) for name in ("suport-agent", "nobody"))
    assert near.endswith("Did you mean support-agent?")
    assert far.endswith("Make one: holdgate keys create nobody --keep")


def test_a_misspelled_setting_is_told_with_its_line(home: Path, holdgate: Holdgate) -> None:
    """Settings are read strictly: file, line and the likely key."""
    file = home / "holdgate.yaml"
    file.write_text(file.read_text().replace("log_level: info", "log_levle: info"))
    sentence = one_sentence(holdgate("keys", "ls"), 3)
    assert f"{file}:" in sentence
    assert "log_level" in sentence


def test_the_wrong_passphrase_opens_no_vault(holdgate: Holdgate) -> None:
    """A wrong passphrase is exit 3; the passphrase is not repeated."""
    sentence = one_sentence(holdgate("secret", "ls", HOLDGATE_VAULT_PASSPHRASE="not-the-one"), 3)
    assert "The passphrase does not open this vault." in sentence
    assert "not-the-one" not in sentence


def test_a_database_of_a_newer_holdgate_is_left_alone(home: Path, holdgate: Holdgate) -> None:
    """A newer schema is refused with the remedy, by every verb that opens the store."""
    connection = sqlite3.connect(home / "holdgate-data" / "holdgate.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    assert "newer Holdgate" in one_sentence(holdgate("approvals", "ls"), 3)
    assert [f["check"] for f in holdgate("doctor", "--json").json if "a newer Holdgate" in f["message"]] == ["database"]


def test_a_data_folder_that_is_no_folder_is_one_sentence(home: Path, holdgate: Holdgate) -> None:
    """Where the data folder cannot be, the gateway's key is named as what is missing."""
    file = home / "holdgate.yaml"
    file.write_text(file.read_text().replace("data: holdgate-data", "data: holdgate.yaml"))
    one_sentence(holdgate("ledger", "tail"), 3)


@pytest.mark.parametrize(
    "words",
    [
        ("approvals", "show", "act_nothing"),
        ("ledger", "show", "act_" + "0" * 32),
        ("ledger", "query", "--since", "yesterday"),
        ("keys", "revoke", "0123456789abcdef"),
        ("keys", "disable", "nobody"),
        ("kill", "agent", "nobody", "--because", "a typo"),
        ("kill", "tool", "nothing", "--because", "a typo"),
        ("resume", "everything"),
        ("resolve", "act_nothing", "--happened", "yes", "--because", "looked"),
        ("call", "billing_refund"),
        ("call", "billing_refund", "--as", "nobody"),
    ],
)
def test_what_is_not_there_is_one_sentence(holdgate: Holdgate, words: tuple[str, ...]) -> None:
    """Unknown ids and names, and a gateway that is not running, are exit 1 and one sentence."""
    file = holdgate.config
    file.write_text(re.sub(r"port: \d+", "port: 9", file.read_text()))
    one_sentence(holdgate(*words), 1)


@pytest.mark.parametrize(
    "words",
    [
        ("nonsense",),
        ("kill", "agent", "support-agent"),
        ("keys", "create", "Not A Name"),
        ("keys", "create", "../../etc", "--keep"),
        ("call", "billing_refund", "--arg", "no-equals"),
        ("connect", "netscape"),
    ],
)
def test_wrong_usage_is_exit_2(holdgate: Holdgate, words: tuple[str, ...]) -> None:
    """Words that make no command are refused before anything is opened."""
    ended = holdgate(*words)
    assert (ended.code, ended.out) == (2, "")
    assert "Traceback" not in ended.err


@pytest.mark.parametrize(
    ("words", "next_step"),
    [
        (("approvals", "show", "act_nothing"), "holdgate approvals ls --all"),
        (("ledger", "show", "act_nothing"), "holdgate ledger tail"),
        (("ledger", "show", "act_" + "0" * 32), "holdgate ledger tail"),
        (("keys", "revoke", "0123456789abcdef"), "holdgate keys ls"),
        (("resume", "everything"), "holdgate kill ls"),
    ],
)
def test_what_is_not_there_is_told_with_the_list_of_what_is(
    holdgate: Holdgate, words: tuple[str, ...], next_step: str
) -> None:
    """A mistyped id is answered with the command that shows the right ones."""
    assert f"`{next_step}`" in one_sentence(holdgate(*words), 1)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("connect", "claude-code"), "Did you mean 'claude'?"),
        (("connect", "Codex"), "Did you mean 'codex'?"),
        (("keys", "create", "bob", "--kind", "humans"), "Did you mean 'human'?"),
        (("call", "billing_refund", "inv_1001"), "--arg NAME=VALUE"),
        (("call", "billing_refund", "--invoice", "inv_1001"), "--arg NAME=VALUE"),
        (("call", "billing_refund", "--arg", "invoice", "inv_1001"), "--arg NAME=VALUE"),
        (("call", "billing_refund", "--dryrun"), "'--dryrun' is no option"),
        (("call", "--dryrun", "billing_refund"), "'--dryrun' is no option"),
        (("call", "--invoice=inv_1001"), "'--invoice=inv_1001' is no option"),
        (("serve", "--config", "holdgate.yaml"), "It stands before the verb: `holdgate --config FILE serve`."),
        (("policy", "check", "--debug"), "It stands before the verb: `holdgate --debug policy check`."),
        (("doctor", "other.yaml"), "before the verb: `holdgate --config other.yaml doctor`."),
        (("tools", "ls", "billing_refund"), "For one of them: `holdgate tools show billing_refund`."),
        (("ledger", "tail", "act_1"), "For one of them: `holdgate ledger show act_1`."),
        (("kill", "support-agent"), "There are: everything, agent, tool, connector, ls."),
        (("demo", "play"), "with --play"),
        (("demo", "claude"), "with --play"),
    ],
)
def test_wrong_usage_is_told_with_what_was_meant(holdgate: Holdgate, words: tuple[str, ...], told: str) -> None:
    """A word that nearly fits is named, a tool's argument is shown as it is written, and pydantic is not heard."""
    ended = holdgate(*words)
    assert (ended.code, ended.out) == (2, "")
    assert told in ended.err
    assert "Value error" not in ended.err


def test_the_name_of_a_principal_is_no_key_but_can_be_shut_out(holdgate: Holdgate) -> None:
    """Who types a name where a key's id belongs, perhaps in a hurry, is told the command that helps."""
    sentence = one_sentence(holdgate("keys", "revoke", "support-agent"), 1)
    assert "`holdgate keys disable support-agent`" in sentence


def test_debug_shows_where_an_error_came_from(tmp_path: Path) -> None:
    """With --debug the traceback stands before the sentence."""
    ended = Holdgate(tmp_path / "none.yaml").program("--debug", "kill", "ls")
    assert ended.code == 3
    assert "Traceback" in ended.err
