"""The local vault's file format: bytes in, bytes out. Knows nothing of files and of what it seals.

    header      one line of JSON: format, kdf, salt, check, nonce; authenticated with the body
    body        AES-256-GCM under scrypt(passphrase, salt)
    checksum    SHA-256 of all before it; every later format ends in one too

The checksum needs no passphrase, so a damaged file is known before a passphrase is tried; `check` is a hash of key
material that seals nothing, so a wrong passphrase is told from an altered file.
"""

from __future__ import annotations

import hmac
import json
import os
from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from gateway.errors import StartupError
from vault.secret import Secret

FORMAT = 1
_COST, _BLOCK, _LANES = 2**17, 8, 1  # OWASP's setting for scrypt: 128 MiB, some 0.4 s
_KDF = {"name": "scrypt", "n": _COST, "r": _BLOCK, "p": _LANES}
_CHECKSUM = 32
_SALT = 16
_NONCE = 12


class Key:
    """A passphrase, stretched with one file's salt. Shows nothing of either."""

    __slots__ = ("check", "cipher", "salt")

    def __init__(self, passphrase: Secret, salt: bytes) -> None:
        stretched = Scrypt(salt=salt, length=64, n=_COST, r=_BLOCK, p=_LANES).derive(passphrase.expose().encode())
        self.salt = salt
        self.cipher = AESGCM(stretched[:32])
        self.check = sha256(stretched[32:]).hexdigest()

    @classmethod
    def fresh(cls, passphrase: Secret) -> Key:
        """A key with a salt of its own, for a new file."""
        return cls(passphrase, os.urandom(_SALT))


@dataclass(frozen=True, slots=True)
class Sealed:
    """A file's contents, whole and of a known format, not yet opened."""

    header: bytes
    body: bytes
    salt: bytes
    nonce: bytes
    check: str

    def matches(self, key: Key) -> bool:
        """Whether `key` is the one it was sealed with."""
        return hmac.compare_digest(self.check, key.check)

    def opened(self, key: Key, *, file: str) -> bytes:
        """What was sealed.

        Raises:
            StartupError: it was altered by somebody who also mended its checksum.
        """
        try:
            return key.cipher.decrypt(self.nonce, self.body, self.header)
        except InvalidTag:
            raise StartupError(
                "The vault file has been altered: its seal does not fit its contents.",
                file=file,
                remedy="Restore it from a back-up, find out who wrote to it, and replace the credentials in it.",
            ) from None


def seal(key: Key, plaintext: bytes) -> bytes:
    """A file's whole contents, under a fresh nonce."""
    nonce = os.urandom(_NONCE)
    fields = {
        "holdgate_vault": FORMAT,
        "kdf": _KDF,
        "salt": key.salt.hex(),
        "check": key.check,
        "nonce": nonce.hex(),
    }
    header = json.dumps(fields).encode() + b"\n"
    contents = header + key.cipher.encrypt(nonce, plaintext, header)
    return contents + sha256(contents).digest()


def parse(contents: bytes, *, file: str) -> Sealed:
    """Take a file's contents apart, without a passphrase.

    Raises:
        StartupError: damaged or no vault at all; or of a newer format.
    """
    damaged = StartupError(
        "The vault file is damaged, or is no vault.",
        file=file,
        remedy="Restore it from a back-up, or correct the path.",
    )
    written, checksum = contents[:-_CHECKSUM], contents[-_CHECKSUM:]
    if sha256(written).digest() != checksum:
        raise damaged
    line, newline, body = written.partition(b"\n")
    try:
        fields = json.loads(line)
        version = fields["holdgate_vault"]
        if version != FORMAT:
            raise StartupError(
                f"The vault file has format {version}, and this Holdgate reads format {FORMAT}.",
                file=file,
                remedy="Upgrade Holdgate to the version that wrote it.",
            )
        if fields["kdf"] != _KDF:
            raise damaged
        salt, nonce = bytes.fromhex(fields["salt"]), bytes.fromhex(fields["nonce"])
        return Sealed(line + newline, body, salt, nonce, str(fields["check"]))
    except (ValueError, KeyError, TypeError):
        raise damaged from None
