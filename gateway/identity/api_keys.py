"""API keys `hg_<id>_<secret>`: looked up by id, compared in constant time, useless once revoked (semantics.md A-3)."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from dataclasses import replace

from gateway.errors import HoldgateError
from gateway.ledger_line import Event
from gateway.model import Principal
from gateway.store.people import KeyRecord
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction

_TOKEN = re.compile(r"^hg_([0-9a-f]{16})_([A-Za-z0-9_-]{43})$")
_NOBODY = hashlib.sha256(b"nobody").digest()
_MAX_ACTIVE = 2


def create_key(tx: Transaction, principal: Principal, *, by: str, days: int | None = None) -> str:
    """Make a key for an enabled principal. The returned text is shown once; only its hash is stored.

    Args:
        by: who asked for it, for the ledger.
        days: until it expires; None: never.

    Raises:
        HoldgateError: the principal is unknown or disabled, or has two active keys already (one to rotate to).
    """
    if tx.people.get(principal.tenant, principal.id) is None:
        raise HoldgateError(f"There is no enabled principal {principal.id}.")
    active = [key for key in tx.people.keys(principal.tenant, principal.id) if key.usable(tx.now)]
    if len(active) >= _MAX_ACTIVE:
        raise HoldgateError(
            f"{principal.id} has {_MAX_ACTIVE} active keys. Revoke one first: holdgate keys revoke {active[0].id}"
        )
    id, secret = secrets.token_hex(8), secrets.token_urlsafe(32)
    expires = None if days is None else tx.now + days * 86_400_000
    digest = hashlib.sha256(secret.encode()).digest()
    tx.people.add_key(KeyRecord(id, principal.tenant, principal.id, digest, tx.now, expires, None))
    tx.ledger.append(
        Event.KEY, tenant=principal.tenant, principal=principal.id, api_key=id, change="created", by=by, expires=expires
    )
    return f"hg_{id}_{secret}"


def revoke_key(tx: Transaction, tenant: str, id: str, *, by: str) -> bool:
    """Make a key useless from this commit on. False when it does not exist or already was."""
    key = tx.people.key(id)
    if key is None or key.tenant != tenant or not tx.people.revoke_key(id):
        return False
    tx.ledger.append(Event.KEY, tenant=tenant, principal=key.principal, api_key=id, change="revoked", by=by)
    return True


def check(tx: Transaction, token: str) -> Principal | None:
    """The principal behind a token, or None. Takes as long for an unknown id as for a wrong secret (T-5)."""
    _, principal = _holder(tx, token) or (None, None)
    return principal


def _holder(tx: Transaction, token: str) -> tuple[KeyRecord, Principal] | None:
    parsed = _TOKEN.match(token)
    key = tx.people.key(parsed[1]) if parsed else None
    presented = hashlib.sha256((parsed[2] if parsed else token).encode()).digest()
    same = hmac.compare_digest(presented, key.digest if key else _NOBODY)
    return _good(tx, key) if key and same else None


def _still(tx: Transaction, key: KeyRecord) -> tuple[KeyRecord, Principal] | None:
    """What became of a key that was presented before."""
    now = tx.people.key(key.id)
    return _good(tx, now) if now and now.digest == key.digest else None


def _good(tx: Transaction, key: KeyRecord) -> tuple[KeyRecord, Principal] | None:
    """The key and whose it is, as long as both may be used."""
    principal = tx.people.get(key.tenant, key.principal) if key.usable(tx.now) else None
    return (key, replace(principal, key_id=key.id)) if principal else None


class ApiKeys:
    """Authenticates tokens against the store, remembering good ones until the store changes.

    What is remembered is only a shortcut: the transaction that admits a call looks the key up again.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[bytes, tuple[KeyRecord, Principal]] = {}
        """By the token's hash."""
        self._presented: set[bytes] = set()
        """Those of them that were presented since the store was last seen to change."""

    async def authenticate(self, token: str) -> Principal | None:
        """Who presents this token.

        Raises:
            LedgerUnavailable: the store cannot be read, so nobody can be let in.
        """
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        # The store may change while it is read: then this is remembered where nobody looks any more.
        remembered = self._known
        known = remembered.get(digest)
        if known is None or not known[0].usable(self._store.now()):
            known = await self._store.read(lambda tx: _holder(tx, token))
            if known is None:
                return None
            # Many may come at once before one of them is remembered: from then on all are one and the same object.
            if remembered.get(digest) != known:
                remembered[digest] = known
        self._presented.add(digest)
        return known[1]

    async def look_again(self) -> None:
        """The store changed. Whoever called since it last did is looked up, all at once, and nobody has to wait for it.

        A gateway's own calls change the store all the time, so that to forget everybody would send every caller of the
        next moment to the database. The others are forgotten.

        Raises:
            LedgerUnavailable: the store cannot be read; everybody is forgotten.
        """
        before, self._presented = self._presented, set()
        known = {digest: self._known[digest] for digest in before if digest in self._known}

        def look(tx: Transaction) -> dict[bytes, tuple[KeyRecord, Principal]]:
            found = ((digest, holder, _still(tx, holder[0])) for digest, holder in known.items())
            # Who is as before stays the very same object: what is remembered of it elsewhere is found by a glance.
            return {digest: holder if good == holder else good for digest, holder, good in found if good is not None}

        fresh: dict[bytes, tuple[KeyRecord, Principal]] = {}
        try:
            if known:
                fresh = await self._store.read(look)
        finally:
            self._known = fresh
