"""Bodies: what a call said, what its reviewers were shown, what it was told; each sealed for one action and kind.

They are kept beside the ledger and never in it; a line commits to a body by its hash (semantics.md L-5).
"""

from __future__ import annotations

import hashlib
import json
from typing import Any, Literal

from pydantic_core import to_json

from gateway.errors import HoldgateError
from gateway.frozen import statically_frozen
from gateway.keyring import Keyring
from gateway.store.transaction import Transaction

Kind = Literal["arguments", "context", "outcome", "question"]


@statically_frozen
class Body:
    """A sealed body that is not stored yet: sealing wants no transaction, and should hold up none."""

    action_id: str
    kind: Kind
    sealed: bytes

    @classmethod
    def seal(cls, keyring: Keyring, action_id: str, kind: Kind, content: dict[str, Any]) -> Body:
        """A JSON object, encrypted so that it can be read as this action's body of this kind, and as no other."""
        return cls(action_id, kind, keyring.seal(action_id, kind, to_json(content)))

    def keep(self, tx: Transaction, keep_ms: int | None = None) -> None:
        """Store it in place of an earlier one of its kind, for so many milliseconds; None: as long as its action."""
        tx.bodies.put(self.action_id, self.kind, self.sealed, keep_ms=keep_ms)

    @property
    def hash(self) -> str:
        """SHA-256 of the sealed bytes, by which a ledger line commits to them."""
        return hashlib.sha256(self.sealed).hexdigest()


def opened(tx: Transaction, keyring: Keyring, action_id: str, kind: Kind) -> dict[str, Any] | None:
    """A stored body, decrypted; None when it is no longer kept.

    Raises:
        HoldgateError: it was tampered with.
    """
    found = tx.bodies.get(action_id, kind)
    if found is None:
        return None
    content = json.loads(keyring.open(action_id, kind, found))
    if not isinstance(content, dict):
        raise HoldgateError(f"The stored {kind} of {action_id} is not a JSON object.")
    return content
