"""Make a data folder ready: the gateway's key, the local vault, the database, and keys for people and agents.

Everything here may be done twice: what exists is left as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from gateway.errors import StartupError
from gateway.identity.api_keys import create_key, revoke_key
from gateway.keyring import Keyring
from gateway.model import Principal
from gateway.passphrase import first_passphrase
from gateway.private import write_private
from gateway.settings import Home, LocalVaultSettings
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from vault.local import LocalVault


def prepare(home: Home) -> None:
    """Make what is missing of the data folder.

    Raises:
        StartupError: the folder cannot be written.
    """
    try:
        home.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as broken:
        raise StartupError(
            "The data folder cannot be made.", file=str(home.data), remedy="Choose another under `data`."
        ) from broken
    if not home.gateway_key.exists():
        Keyring.create(home.gateway_key)
    vault = home.settings.vault
    if isinstance(vault, LocalVaultSettings) and not (home.data / vault.file).exists():
        LocalVault.create(home.data / vault.file, first_passphrase(home, vault))
    open_store(home).close()


def open_store(home: Home) -> SqliteStore:
    """The store of a prepared data folder, for one command.

    Raises:
        StartupError: it was never prepared, or cannot be opened.
    """
    return SqliteStore(home.database, Keyring.load(home.gateway_key).head_mac)


def admit(store: SqliteStore, principal: Principal, *, by: str, days: int | None = None) -> str:
    """Add or update a principal and make it a key, which is returned and stored nowhere in the clear.

    Raises:
        HoldgateError: it has two active keys already.
    """

    def add(tx: Transaction) -> str:
        tx.people.put(principal)
        return create_key(tx, principal, by=by, days=days)

    return store.transact(add)


def keep_key(home: Home, name: str, token: str) -> Path:
    """Keep a key for this user, in a file that only they can read."""
    home.keys.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home.keys / f"{name}.key"
    write_private(path, token + "\n")
    return path


def keep_or_revoke(home: Home, store: SqliteStore, name: str, token: str, *, by: str) -> Path:
    """Keep a new key for this user. One that cannot be kept is nobody's, and is taken back.

    Raises:
        StartupError: it cannot be kept.
    """
    try:
        return keep_key(home, name, token)
    except OSError as broken:
        id = token.split("_")[1]
        store.transact(lambda tx: revoke_key(tx, home.settings.tenant, id, by=by))
        raise StartupError(
            f"The key cannot be kept, and was revoked: {broken.strerror}.",
            file=str(home.keys),
            remedy="See that its disk has room and that you may write there.",
        ) from broken


def write_new(files: Mapping[Path, str]) -> None:
    """Write files, with their folders; all of them or, where one is there already, none.

    Raises:
        StartupError: naming the file that is there, or cannot be written.
    """
    for path in files:
        if path.exists():
            raise StartupError(
                "There is a file already, and nothing is overwritten.",
                file=str(path),
                remedy="Choose another folder, or move the file away.",
            )
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as broken:
            raise StartupError(
                f"The file cannot be written: {broken.strerror}.",
                file=str(path),
                remedy="Choose a folder that you may write to.",
            ) from broken
