"""Principals and API keys in the store."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway.model import Kind, Principal, Role
from gateway.store.readings import Readings

if TYPE_CHECKING:
    from gateway.store.transaction import Connection


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """One API key, without its secret."""

    id: str
    tenant: str
    principal: str
    digest: bytes
    created_at: int
    expires_at: int | None
    revoked_at: int | None

    def usable(self, now: int) -> bool:
        """Whether it opens anything at `now` (ms)."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


class People:
    """Who may present themselves, and with which key (semantics.md A-3)."""

    def __init__(self, connection: Connection, now: int) -> None:
        self._execute = connection.execute
        self._now = now
        self._active: Readings[bool] = Readings()

    def put(self, principal: Principal) -> None:
        """Add a principal, or change its kind, groups, roles and owner."""
        self._active.written()
        self._execute(
            "INSERT INTO principals (tenant, id, kind, groups, roles, owner, enabled, created_at)"
            " VALUES (:tenant, :id, :kind, :groups, :roles, :owner, 1, :now)"
            " ON CONFLICT (tenant, id) DO UPDATE SET kind = :kind, groups = :groups, roles = :roles, owner = :owner",
            {
                "tenant": principal.tenant,
                "id": principal.id,
                "kind": str(principal.kind),
                "groups": json.dumps(sorted(principal.groups)),
                "roles": json.dumps(sorted(principal.roles)),
                "owner": principal.owner,
                "now": self._now,
            },
        )

    def get(self, tenant: str, id: str) -> Principal | None:
        """The principal, if it exists and is enabled."""
        row = self._execute(
            "SELECT * FROM principals WHERE tenant = ? AND id = ? AND enabled = 1", (tenant, id)
        ).fetchone()
        return _principal(row) if row else None

    def all(self, tenant: str) -> list[tuple[Principal, bool]]:
        """Every principal of a tenant, and whether it is enabled."""
        rows = self._execute("SELECT * FROM principals WHERE tenant = ? ORDER BY id", (tenant,))
        return [(_principal(row), bool(row["enabled"])) for row in rows]

    def enable(self, tenant: str, id: str, enabled: bool) -> bool:
        """Let a principal in, or shut it out with all its keys. False when there is no such principal."""
        self._active.written()
        done = self._execute(
            "UPDATE principals SET enabled = ? WHERE tenant = ? AND id = ?", (int(enabled), tenant, id)
        )
        return bool(done.rowcount)

    def add_key(self, record: KeyRecord) -> None:
        """Store a key's digest."""
        self._active.written()
        self._execute(
            "INSERT INTO api_keys (id, tenant, principal, digest, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)",
            (record.id, record.tenant, record.principal, record.digest, record.created_at, record.expires_at),
        )

    def key(self, id: str) -> KeyRecord | None:
        """A key by its public id."""
        row = self._execute("SELECT * FROM api_keys WHERE id = ?", (id,)).fetchone()
        return KeyRecord(**dict(row)) if row else None

    def keys(self, tenant: str, principal: str | None = None) -> list[KeyRecord]:
        """Keys of a tenant, newest last."""
        rows = self._execute(
            "SELECT * FROM api_keys WHERE tenant = :tenant AND (:principal IS NULL OR principal = :principal)"
            " ORDER BY created_at, id",
            {"tenant": tenant, "principal": principal},
        )
        return [KeyRecord(**dict(row)) for row in rows]

    def revoke_key(self, id: str) -> bool:
        """Make a key useless from this commit on. False when it does not exist or already was."""
        self._active.written()
        done = self._execute("UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL", (self._now, id))
        return bool(done.rowcount)

    def revoked(self, id: str) -> bool:
        """Whether a key was taken back; not so one that has only expired, and what was no key never was one."""
        key = self.key(id)
        return key is not None and key.revoked_at is not None

    def active(self, tenant: str, principal: str, key: str) -> bool:
        """Whether the key and its principal are good at this very transaction (semantics.md C-4)."""
        return self._active.get((tenant, principal, key), lambda: self._is_active(tenant, principal, key))

    def _is_active(self, tenant: str, principal: str, key: str) -> bool:
        row = self._execute(
            "SELECT 1 FROM api_keys k JOIN principals p ON p.tenant = k.tenant AND p.id = k.principal"
            " WHERE k.id = ? AND k.tenant = ? AND k.principal = ? AND p.enabled = 1"
            " AND k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > ?)",
            (key, tenant, principal, self._now),
        ).fetchone()
        return row is not None


def _principal(row: Any) -> Principal:
    return Principal(
        tenant=row["tenant"],
        id=row["id"],
        kind=Kind(row["kind"]),
        groups=frozenset(json.loads(row["groups"])),
        roles=frozenset(Role(role) for role in json.loads(row["roles"])),
        owner=row["owner"],
    )
