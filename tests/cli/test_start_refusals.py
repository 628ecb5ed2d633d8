"""What the gateway will not start on: a secret that others can read, a host in the clear, a vault without its token."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.command import Holdgate, one_sentence

KEY = "holdgate-data/gateway.key"


@pytest.mark.parametrize(
    ("file", "words"), [(KEY, ("kill", "ls")), (KEY, ("serve",)), ("vault.passphrase", ("secret", "ls"))]
)
def test_a_secret_that_others_can_read_is_not_used(
    home: Path, holdgate: Holdgate, file: str, words: tuple[str, ...]
) -> None:
    """Exit 3, with the command that shuts it; afterwards it goes on."""
    (home / file).chmod(0o640)
    sentence = one_sentence(holdgate.program(*words), 3)
    assert "is readable by others" in sentence
    assert f"chmod 600 {home / file}" in sentence
    (home / file).chmod(0o600)
    if words != ("serve",):
        assert holdgate(*words).code == 0


@pytest.mark.parametrize("text", ["", "not a key", "holdgate-key-1 00ff"])
def test_a_damaged_key_is_never_replaced(home: Path, holdgate: Holdgate, text: str) -> None:
    """A new key would make every stored answer unreadable: the back-up is named instead, and the file stays."""
    (home / KEY).write_text(text)
    assert "Restore it from your back-up" in one_sentence(holdgate("kill", "ls"), 3)
    assert (home / KEY).read_text() == text


def test_an_empty_passphrase_opens_nothing(home: Path, holdgate: Holdgate) -> None:
    """A file that was truncated is no passphrase."""
    (home / "vault.passphrase").write_text("\n")
    assert "passphrase file is empty" in one_sentence(holdgate("secret", "ls"), 3)


def test_a_credential_is_not_sent_in_the_clear(home: Path, holdgate: Holdgate) -> None:
    """C-8: plain http is for hosts that the operator has called internal, one by one."""
    clear = "connector:\n  billing: {base_url: 'http://billing.example.com'}\n"
    (home / "holdgate.yaml").write_text((home / "holdgate.yaml").read_text() + clear)
    sentence = one_sentence(holdgate.program("serve"), 3)
    assert "billing talks plain http" in sentence
    assert "internal: true" in sentence


@pytest.mark.parametrize(("auth", "missing"), [("token", "VAULT_TOKEN"), ("approle", "VAULT_ROLE_ID")])
def test_a_vault_without_its_token_is_named(home: Path, holdgate: Holdgate, auth: str, missing: str) -> None:
    """C-1: what the environment has to hold is said at the start, and not at the first call."""
    text = (home / "holdgate.yaml").read_text()
    local = text[text.index("vault:") : text.index("# Whom `holdgate serve --stdio`")]
    vault = f"vault: {{kind: hashicorp, address: 'https://vault.example.com:8200', auth: {auth}}}\n\n"
    (home / "holdgate.yaml").write_text(text.replace(local, vault))
    assert f"The vault needs {missing}, which is not set." in one_sentence(holdgate.program("serve"), 3)
