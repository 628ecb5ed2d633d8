"""From an empty folder to a gateway that could serve."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from gateway.connect import Client
from tests.cli.command import Holdgate, one_sentence

CREDENTIALS = ("kv/acme/billing#api_key", "kv/acme/crm#api_key", "kv/acme/tickets#api_key")


def test_a_fresh_home_lacks_nothing_but_its_credentials(holdgate: Holdgate) -> None:
    """What init writes loads, and doctor fails for the credentials alone."""
    ended = holdgate("doctor", "--json")
    failing = {finding["check"] for finding in ended.json if finding["verdict"] == "fail"}
    assert (ended.code, failing) == (1, {"credential"})


def test_the_next_steps_of_a_new_gateway_are_about_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where `$HOLDGATE_CONFIG` names another gateway, as the demo's does, the steps name the new one's settings."""
    monkeypatch.chdir(tmp_path)
    holdgate = Holdgate(Path("unused"))
    assert "  holdgate --config holdgate.yaml doctor" in holdgate("init", HOLDGATE_CONFIG="elsewhere.yaml").out
    (tmp_path / "second").mkdir()
    monkeypatch.chdir(tmp_path / "second")
    assert "  holdgate doctor" in holdgate("init").out


def test_doctor_is_content_once_every_credential_is_stored(holdgate: Holdgate) -> None:
    """With all credentials stored doctor exits 0; a server that is not running is only a warning."""
    for reference in CREDENTIALS:
        assert holdgate("secret", "set", reference, stdin="value-of-a-credential\n").code == 0
    ended = holdgate("doctor")
    assert ended.code == 0, ended.out
    assert "value-of-a-credential" not in ended.out + ended.err
    assert holdgate("secret", "ls", "--json").json == sorted(CREDENTIALS)


def test_a_removed_secret_is_gone_and_its_removal_is_on_the_ledger(holdgate: Holdgate) -> None:
    """Setting and removing a credential leave a line each, with the reference and never the value."""
    holdgate("secret", "set", CREDENTIALS[0], stdin="value-of-a-credential\n")
    assert holdgate("secret", "rm", CREDENTIALS[0]).code == 0
    lines = holdgate("ledger", "query", "--event", "CONFIG", "--json").jsons
    assert [line["change"] for line in lines] == ["secret_set", "secret_removed"]
    assert all(line["by"].startswith("os:") for line in lines)
    one_sentence(holdgate("secret", "rm", CREDENTIALS[0]), 3)


def test_who_cannot_prove_who_they_are_changes_no_secret(holdgate: Holdgate) -> None:
    """With --as of somebody whose key is not kept, nothing is stored: no change is left without a name."""
    one_sentence(holdgate("secret", "set", CREDENTIALS[0], "--as", "nobody", stdin="value-of-a-credential\n"), 1)
    assert holdgate("secret", "ls", "--json").json == []


def test_a_fresh_home_serves_over_stdio_too(holdgate: Holdgate) -> None:
    """What init writes names whom stdio acts for; the end of stdin ends it in order, with nothing else on stdout."""
    ended = holdgate.program("serve", "--stdio")
    assert (ended.code, ended.out) == (0, "")
    assert '"event": "stopped"' in ended.err


def test_init_overwrites_nothing(home: Path, holdgate: Holdgate) -> None:
    """A second init in the same folder changes no file."""
    before = (home / "holdgate.yaml").read_bytes()
    assert "nothing is overwritten" in one_sentence(holdgate("init", str(home)), 3)
    assert (home / "holdgate.yaml").read_bytes() == before


def test_settings_that_are_there_get_their_data_folder(home: Path, holdgate: Holdgate) -> None:
    """On another machine, from version control: what the settings name is made, and they are left as they are."""
    shutil.rmtree(home / "holdgate-data")
    before = (home / "holdgate.yaml").read_bytes()
    assert "`holdgate init` beside the settings" in holdgate("doctor").out
    made = holdgate("init", str(home))
    assert (made.code, "Nobody has a key yet" in made.out) == (0, True), made.err
    assert (home / "holdgate.yaml").read_bytes() == before
    assert holdgate("keys", "create", "bot", "--group", "support", "--keep").code == 0
    failing = {finding["check"] for finding in holdgate("doctor", "--json").json if finding["verdict"] == "fail"}
    assert failing == {"credential"}


def test_a_lost_key_is_not_made_anew(home: Path, holdgate: Holdgate) -> None:
    """A database whose `gateway.key` is gone needs that key from the back-up; another one would open nothing of it."""
    (home / "holdgate-data" / "gateway.key").unlink()
    assert "nothing is overwritten" in one_sentence(holdgate("init", str(home)), 3)
    assert not (home / "holdgate-data" / "gateway.key").exists()


def test_what_init_makes_belongs_to_one_user(home: Path) -> None:
    """Keys, database and passphrase are readable by their owner only."""
    data = home / "holdgate-data"
    for path in (data, data / "gateway.key", data / "holdgate.db", data / "vault.enc", home / "vault.passphrase"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
    assert "/holdgate-data/" in (home / ".gitignore").read_text()


def test_a_passphrase_that_others_can_read_makes_no_vault(tmp_path: Path) -> None:
    """What a start would refuse is refused before anything is sealed with it, with the remedy."""
    passphrase = tmp_path / "vault.passphrase"
    passphrase.write_text("known to the whole office")
    passphrase.chmod(0o644)
    holdgate = Holdgate(tmp_path / "holdgate.yaml")
    assert f"chmod 600 {passphrase}" in one_sentence(holdgate("init", str(tmp_path)), 3)
    assert not list(tmp_path.rglob("vault.enc"))


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path, holdgate: Holdgate) -> None:
    """init into a place that is no folder names the place and a remedy."""
    (tmp_path / "file").write_text("")
    assert "Choose a folder" in one_sentence(holdgate("init", str(tmp_path / "file" / "home")), 3)


def test_connect_prints_no_key_except_for_scripts(home: Path, holdgate: Holdgate, url: str) -> None:
    """Only `json` holds the key itself; all other texts name the variable or the file."""
    key = (home / "holdgate-data" / "keys" / "support-agent.key").read_text().strip()
    for client in (name for name in Client if name != "json"):
        ended = holdgate("connect", client)
        assert ended.code == 0
        assert key not in ended.out + ended.err
        assert url in ended.out
    assert holdgate("connect", "json").json == {
        "url": url,
        "headers": {"Authorization": f"Bearer {key}"},
    }


@pytest.mark.parametrize("client", ["claude", "gemini", "cursor", "langchain", "openai-agents", "pydantic-ai"])
def test_connect_names_the_task_where_a_client_can(holdgate: Holdgate, client: str) -> None:
    """I-16: what expands variables is told to send the task, and by which variable."""
    text = holdgate("connect", client).out
    assert "Holdgate-Task" in text
    assert "HOLDGATE_TASK" in text


@pytest.mark.parametrize("client", ["claude", "codex", "gemini"])
def test_connect_says_how_an_agent_starts_with_nobody_to_ask(holdgate: Holdgate, client: str) -> None:
    """A comment, so that the lines still paste into a shell; `make test-clients` starts the real ones by it."""
    text = holdgate("connect", client).out
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=True).returncode == 0
    *_, note, start = text.splitlines()
    assert note.startswith("# ")
    assert start.startswith(f"#   {client} ")
    assert start.endswith(" PROMPT")


@pytest.mark.parametrize("client", ["desktop", "cursor", "vscode", "copilot"])
def test_connect_prints_files_of_json_as_they_are(holdgate: Holdgate, client: str) -> None:
    """Stdout can be written to the client's file; where that is stands on stderr."""
    ended = holdgate("connect", client)
    (servers,) = (part for name, part in ended.json.items() if name in ("servers", "mcpServers"))
    assert list(servers) == ["holdgate"]
    assert "json" in ended.err


def test_connect_prints_yaml_for_goose(holdgate: Holdgate, url: str) -> None:
    """The extension of Goose's file, with the key taken from the environment."""
    extension = yaml.safe_load(holdgate("connect", "goose").out)["extensions"]["holdgate"]
    assert extension["uri"] == url
    assert extension["env_keys"] == ["HOLDGATE_KEY"]


@pytest.mark.parametrize("client", ["langchain", "openai-agents", "pydantic-ai"])
def test_connect_prints_python_that_reads_the_key_from_the_environment(holdgate: Holdgate, client: str) -> None:
    """The lines compile, and without a task they send an empty header, which counts as none."""
    text = holdgate("connect", client).out
    compile(text, client, "exec")
    (headers,) = (line for line in text.splitlines() if line.startswith("headers = "))
    said = eval(headers.removeprefix("headers = "), {"os": SimpleNamespace(environ={"HOLDGATE_KEY": "hg_1"})})
    assert said == {"Authorization": "Bearer hg_1", "Holdgate-Task": ""}


@pytest.mark.parametrize("client", ["desktop", "copilot"])
def test_the_bridge_keeps_the_key_out_of_every_command_line(home: Path, holdgate: Holdgate, client: str) -> None:
    """C-6: the line runs in a shell, and the program it starts is given the variable's name and not its value."""
    (server,) = holdgate("connect", client).json["mcpServers"].values()
    (home / "npx").write_text('#!/bin/sh\nprintf "%s\\n" "$HOLDGATE_KEY" "$@"\n')
    (home / "npx").chmod(0o755)
    path = f"{home}:{os.environ['PATH']}"
    ran = subprocess.run(
        [server["command"], *server["args"]], env={"PATH": path}, capture_output=True, text=True, check=True
    )
    key, *arguments = ran.stdout.splitlines()
    assert key == (home / "holdgate-data" / "keys" / "support-agent.key").read_text().strip()
    assert "Authorization: Bearer ${HOLDGATE_KEY}" in arguments
    assert key not in " ".join(arguments)


def test_connect_asks_which_of_several_agents(holdgate: Holdgate) -> None:
    """With keys of two agents kept, connect names them instead of choosing."""
    holdgate("keys", "create", "second", "--keep")
    assert "second, support-agent" in one_sentence(holdgate("connect", "codex"), 1)
    assert holdgate("connect", "codex", "--as", "second", "--json").json["principal"] == "second"


def test_tools_and_policies_are_told_as_json(home: Path, holdgate: Holdgate) -> None:
    """`tools ls`, `tools show`, `policy check` and `policy test` print JSON that parses, and nothing else."""
    assert {"name", "effect", "risk", "hash"} <= holdgate("tools", "ls", "--json").json[0].keys()
    shown = holdgate("tools", "show", "billing_refund", "--json").json
    assert shown["input_schema"]["properties"]["cents"]["type"] == "integer"
    assert holdgate("tools", "show", "get_action", "--json").json["name"] == "get_action"
    assert "There is no tool nothing" in one_sentence(holdgate("tools", "show", "nothing"), 1)
    assert holdgate("policy", "check", "--json").json["ok"] is True
    assert all(example["ok"] for example in holdgate("policy", "test", "--json").json)


def test_a_broken_policy_is_told_with_its_line(home: Path, holdgate: Holdgate) -> None:
    """policy check names file, line and remedy of every problem, in both forms."""
    file = home / "policies" / "operators.yaml"
    file.write_text(file.read_text().replace("billing_refund: hold", "billing_refun: hold"))
    ended = holdgate("policy", "check")
    assert ended.code == 3
    assert any(f"{file}:18" in line and "Did you mean billing_refund?" in line for line in ended.err.splitlines())
    problems = holdgate("policy", "check", "--json").json["problems"]
    assert {"file": str(file), "line": 18} == {name: problems[0][name] for name in ("file", "line")}


def test_a_policy_is_tried_before_it_is_in_force(home: Path, holdgate: Holdgate, tmp_path: Path) -> None:
    """policy check and policy test take files and folders in place of the settings' own, which they leave alone."""
    draft = tmp_path / "drafts" / "draft.yaml"
    draft.parent.mkdir()
    draft.write_text((home / "policies" / "operators.yaml").read_text().replace("billing_refund: hold", "x: hold"))
    for given in (draft, draft.parent):
        assert f"{draft}:18: No tool is named x." in holdgate("policy", "check", str(given)).err
    own = home / "policies" / "operators.yaml"
    assert "Sound: 1 policy," in holdgate("policy", "check", str(own)).out
    assert {result["file"] for result in holdgate("policy", "test", str(own), "--json").json} == {str(own)}
    assert "cannot be read" in one_sentence(holdgate("policy", "check", str(tmp_path / "nothing.yaml")), 3)
    assert holdgate("policy", "check").code == 0


def test_a_failing_example_fails_policy_test(home: Path, holdgate: Holdgate) -> None:
    """policy test prints every example and exits 1 when one does not hold."""
    file = home / "policies" / "operators.yaml"
    file.write_text(file.read_text().replace("expect: hold", "expect: allow"))
    ended = holdgate("policy", "test")
    assert ended.code == 1
    assert "Examples that hold: 15 of 16." in ended.out
