"""The gateway's own keys, each derived for one purpose from one secret file. Upstream credentials live in `vault`."""

from __future__ import annotations

import os
import secrets
from functools import lru_cache
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.errors import HoldgateError, StartupError
from gateway.private import open_to_others

_PREFIX = "holdgate-key-1:"
_SCOPES: Final = 1_024
"""Scopes of claims, and pseudonyms, that are remembered: most calls come from few tasks, and go to few tools."""


class Keyring:
    """Keys that never leave the process: HMACs, sealed bodies, signed checkpoints.

    Args:
        master: 32 random bytes.
    """

    def __init__(self, master: bytes) -> None:
        def derive(purpose: str) -> bytes:
            return HKDF(SHA256(), 32, salt=None, info=f"holdgate/{purpose}/1".encode()).derive(master)

        self._idempotency = HMAC(derive("idempotency"), SHA256())
        self._upstream = HMAC(derive("upstream-key"), SHA256())
        self._head = HMAC(derive("ledger-head"), SHA256())
        self._pseudonym = HMAC(derive("ledger-field"), SHA256())
        self._bodies = AESGCM(derive("bodies"))
        self.request_state = derive("request-state")
        self.checkpoint_key = Ed25519PrivateKey.from_private_bytes(derive("checkpoint"))
        self.pseudonym = lru_cache(maxsize=_SCOPES)(self._pseudonym_of)
        """A value that can be correlated in the ledger, and not read (semantics.md L-5), by tenant and value."""
        self._scope = lru_cache(maxsize=_SCOPES)(self._begun)

    @classmethod
    def create(cls, path: Path) -> Keyring:
        """Write a fresh secret, readable by its owner only. Never overwrites.

        Raises:
            StartupError: the file exists, or its folder cannot be written.
        """
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except OSError as broken:
            raise StartupError(
                "The gateway's key cannot be written.", file=str(path), remedy="Check the folder's owner and mode."
            ) from broken
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(_PREFIX + secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        return cls.load(path)

    @classmethod
    def load(cls, path: Path) -> Keyring:
        """Read the secret.

        Raises:
            StartupError: missing, unreadable, damaged, or readable by others.
        """
        try:
            text = path.read_text(encoding="ascii").strip()
            exposed = open_to_others(path)
        except (OSError, UnicodeDecodeError) as broken:
            raise StartupError(
                "The gateway's key cannot be read.",
                file=str(path),
                remedy="Run `holdgate init` for a new data folder, or restore the key from your back-up: without it,"
                " stored answers cannot be opened and repeated calls cannot be recognised.",
            ) from broken
        if exposed:
            raise StartupError(
                "The gateway's key is readable by others.", file=str(path), remedy=f"Run `chmod 600 {path}`."
            )
        try:
            if not text.startswith(_PREFIX):
                raise ValueError("no such format")
            master = bytes.fromhex(text.removeprefix(_PREFIX))
            if len(master) != 32:
                raise ValueError("no 32 bytes")
        except ValueError as broken:
            raise StartupError(
                "The gateway's key is damaged.", file=str(path), remedy="Restore it from your back-up."
            ) from broken
        return cls(master)

    def claim(self, *parts: str) -> bytes:
        """HMAC of a scope key, or of what one is derived from (semantics.md I-2, I-4)."""
        # What stands before the last part is the same in call after call: it is read into an HMAC once.
        return _digest(self._scope(parts[:-1]), _spelled(parts[-1]))

    def upstream_key(self, action_id: str) -> str:
        """What the upstream is told to deduplicate by: stable across retries (semantics.md I-10)."""
        return "hg-" + _digest(self._upstream, action_id.encode()).hex()[:40]

    def head_mac(self, seq: int, hash: str) -> str:
        """Authenticates the end of the ledger."""
        return _digest(self._head, f"{seq}:{hash}".encode()).hex()

    def seal(self, action: str, kind: str, body: bytes) -> bytes:
        """Encrypt a body, bound to its action and kind."""
        nonce = os.urandom(12)
        return nonce + self._bodies.encrypt(nonce, body, f"{action}/{kind}".encode())

    def open(self, action: str, kind: str, sealed: bytes) -> bytes:
        """Decrypt a body.

        Raises:
            HoldgateError: it was changed, moved to another action, or sealed with another key.
        """
        try:
            return self._bodies.decrypt(sealed[:12], sealed[12:], f"{action}/{kind}".encode())
        except InvalidTag as broken:
            raise HoldgateError(f"The stored {kind} of {action} was changed, or sealed with another key.") from broken

    def _begun(self, parts: tuple[str, ...]) -> HMAC:
        """The HMAC of a claim that begins with these parts."""
        begun = self._idempotency.copy()
        begun.update(b"".join(map(_spelled, parts)))
        return begun

    def _pseudonym_of(self, tenant: str, value: str) -> str:
        return _digest(self._pseudonym, _spelled(tenant) + _spelled(value)).hex()[:32]


def _digest(begun: HMAC, message: bytes) -> bytes:
    """The HMAC of what was begun, and this. A copy of a keyed one costs less than to key one."""
    mac = begun.copy()
    mac.update(message)
    return mac.finalize()


def _spelled(part: str) -> bytes:
    """A part that cannot run over into the next one."""
    raw = part.encode()
    return len(raw).to_bytes(4, "big") + raw
