"""Checkpoints: signed statements of how long the ledger is and how it ends, as C2SP notes (semantics.md L-4).

A checkpoint that was copied elsewhere proves later that nothing before it was changed or cut. One that never left
the machine proves it only against somebody without the gateway's key.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from gateway.store.ledger import WRITER
from gateway.store.transaction import Transaction

ORIGIN = "holdgate/ledger"
_ED25519 = b"\x01"
_DASH = "\u2014"
_NOTE = re.compile(rf"{ORIGIN}\n(?:(?!{ORIGIN}\n).)+?\n\n{_DASH} {ORIGIN} \S{{92}}\n", re.DOTALL)
"""Whole: what a full disk left of one ends where the next one begins, or within its signature, and is none."""
log = logging.getLogger("holdgate.ledger")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The ledger's first `size` lines, the last of which has this `hash`."""

    size: int
    hash: str


def merkle_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1: leaves are hashed with 0x00 before them, nodes with 0x01."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return hashlib.sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + merkle_root(leaves[:split]) + merkle_root(leaves[split:])).digest()


def root_of(writer: str, size: int, hash: str) -> bytes:
    """The tree over every writer's head and length, of which there is one today (semantics.md L-3)."""
    return merkle_root([f"{writer}\n{size}\n{hash}".encode()])


def sign(checkpoint: Checkpoint, writer: str, key: Ed25519PrivateKey) -> str:
    """The signed note: origin, size, root, the head itself, a blank line, and the signature."""
    root = base64.b64encode(root_of(writer, checkpoint.size, checkpoint.hash)).decode()
    text = f"{ORIGIN}\n{checkpoint.size}\n{root}\nhead {writer} {checkpoint.hash}\n"
    signature = base64.b64encode(_key_id(key.public_key()) + key.sign(text.encode())).decode()
    return f"{text}\n{_DASH} {ORIGIN} {signature}\n"


def verifier(key: Ed25519PublicKey) -> str:
    """The public key as C2SP writes a note's verifier: name, id and key; what signed-note tools take."""
    encoded = base64.b64encode(_ED25519 + _raw(key)).decode()
    return f"{ORIGIN}+{_key_id(key).hex()}+{encoded}"


def read(note: str, key: Ed25519PublicKey) -> Checkpoint | None:
    """What a note says, if its signature and its root are good."""
    text, separator, signature_line = note.partition(f"\n\n{_DASH} {ORIGIN} ")
    text += "\n"
    try:
        raw = base64.b64decode(signature_line.strip(), validate=True)
        if not separator or raw[:4] != _key_id(key):
            return None
        key.verify(raw[4:], text.encode())
        origin, size, root, head = text.splitlines()
        _, writer, hash = head.split(" ")
    except (ValueError, InvalidSignature):
        return None
    expected = base64.b64encode(root_of(writer, int(size), hash)).decode()
    return Checkpoint(int(size), hash) if origin == ORIGIN and root == expected else None


def notes_in(file: Path) -> list[str]:
    """The notes in a file of them, in order. What is no whole note is skipped; a damaged one fails its signature."""
    if not file.exists():
        return []
    return _NOTE.findall(file.read_text(encoding="utf-8", errors="replace"))


class Checkpointer:
    """Signs the ledger's head now and then, into the store and into a file beside it.

    Args:
        file: one note after the other; copy it elsewhere to anchor the ledger.
        every_ms, every_lines: whichever comes first.
    """

    def __init__(self, key: Ed25519PrivateKey, file: Path, *, every_ms: int = 60_000, every_lines: int = 1_000) -> None:
        self._key = key
        self._file = file
        self._every_ms = every_ms
        self._every_lines = every_lines

    def make(self, tx: Transaction, *, force: bool = False) -> str | None:
        """Sign the head, if it is due and anything was written since. Inside a transaction; returns the note.

        Raises:
            LedgerUnavailable: it is not this gateway's own head.
        """
        size, hash = tx.ledger.trusted_head()
        last, made_at = tx.ledger.last_checkpoint()
        due = tx.now - made_at >= self._every_ms or size - last >= self._every_lines
        if size == last or not (due or force):
            return None
        note = sign(Checkpoint(size, hash), WRITER, self._key)
        tx.ledger.add_checkpoint(size, note)
        return note

    def publish(self, note: str) -> None:
        """Append a committed note to the file. A failure is told, and is not the call's concern.

        It begins with a line of its own: a full disk may have left but a piece of the one before it.
        """
        try:
            descriptor = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            with os.fdopen(descriptor, "a", encoding="utf-8") as file:
                file.write(("\n" if os.fstat(descriptor).st_size else "") + note)
        except OSError as broken:
            log.error("checkpoint_not_published", extra={"why": type(broken).__name__})


def _key_id(key: Ed25519PublicKey) -> bytes:
    return hashlib.sha256(ORIGIN.encode() + b"\n" + _ED25519 + _raw(key)).digest()[:4]


def _raw(key: Ed25519PublicKey) -> bytes:
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)
