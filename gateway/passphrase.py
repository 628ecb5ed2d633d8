"""The local vault's passphrase, by one rule for whoever opens the vault or makes it."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from gateway.errors import StartupError
from gateway.private import open_to_others, write_private
from gateway.settings import Home, LocalVaultSettings


def passphrase(home: Home, settings: LocalVaultSettings) -> str:
    """What opens the vault: from its variable, else from its file.

    Raises:
        StartupError: there is neither; or the file is missing, empty, or readable by others.
    """
    given = os.environ.get(settings.passphrase_env)
    if given:
        return given
    if settings.passphrase_file is not None:
        return _private_text(home.path(settings.passphrase_file))
    raise StartupError(
        "The local vault has no passphrase.",
        file=str(home.file),
        remedy=f"Set {settings.passphrase_env}, or name a file under `vault: passphrase_file`.",
    )


def first_passphrase(home: Home, settings: LocalVaultSettings) -> str:
    """What a new vault is made with: a random one is written into the file that the settings name, if it is not there.

    Raises:
        StartupError: as `passphrase`.
    """
    if settings.passphrase_file is not None and not os.environ.get(settings.passphrase_env):
        path = home.path(settings.passphrase_file)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            write_private(path, secrets.token_urlsafe(32) + "\n")
    return passphrase(home, settings)


def _private_text(path: Path) -> str:
    try:
        if open_to_others(path):
            raise StartupError(
                "The passphrase file is readable by others.", file=str(path), remedy=f"Run `chmod 600 {path}`."
            )
        text = path.read_text(encoding="utf-8").strip()
    except OSError as broken:
        raise StartupError(
            "The passphrase file cannot be read.", file=str(path), remedy="Check its path, owner and mode."
        ) from broken
    if not text:
        raise StartupError("The passphrase file is empty.", file=str(path), remedy="Restore it from your back-up.")
    return text
