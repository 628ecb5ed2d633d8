"""From a resolved call to an action: which task it belongs to, which key it claims, what it is the same as."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.keyring import Keyring
from gateway.model import Action, Call, Carried, Key, Mode, Principal, Task, new_id
from gateway.store.protocol import Store
from gateway.tools.arguments import Resolved

_CLIENTS_PATIENCE = 50.0
"""Seconds a client is served before it is told `running`: below the 60 s after which claude.ai gives up."""


class Identifier:
    """Names actions.

    Args:
        idle_ms: silence after which an unnamed task has ended (semantics.md I-16).
    """

    def __init__(self, store: Store, keyring: Keyring, *, idle_ms: int) -> None:
        self._store = store
        self._keyring = keyring
        self._idle_ms = idle_ms
        self._implicit: dict[tuple[str, str], tuple[Task, int]] = {}
        """Per principal: its open implicit task, and when it was last seen."""

    async def identify(self, call: Call, resolved: Resolved) -> Action:
        """Give a resolved call its id, task, key and fingerprint.

        Raises:
            LedgerUnavailable: a new implicit task could not be written down.
        """
        principal, tool = call.principal, resolved.tool
        task = await self._task(call)
        key = self._key(resolved, principal, task)
        twin = self._keyring.claim("twin", principal.tenant, principal.id, tool.name, resolved.spelled) if key else b""
        return Action(
            id=new_id("act"),
            principal=principal,
            tool=tool,
            args=resolved.args,
            arguments=resolved.arguments,
            given=resolved.given,
            mode=resolved.mode,
            task=task,
            key=key,
            fingerprint=self._fingerprint(resolved),
            twin=twin,
            reason=resolved.reason,
            evidence=resolved.evidence,
            carried=call.carried,
            deadline=min(_CLIENTS_PATIENCE, tool.timeout + 5.0),
            client=call.client,
        )

    def _key(self, resolved: Resolved, principal: Principal, task: Task) -> Key | None:
        tool = resolved.tool
        if not tool.writes or resolved.mode is Mode.PREVIEW:
            return None
        if resolved.explicit_key is not None:
            source, text = resolved.explicit_key
            kind = "natural" if source == "natural" else "given"
            return Key(self._keyring.claim(kind, principal.tenant, principal.id, tool.name, text), source)
        scope = (principal.tenant, principal.id, task.id, tool.name, tool.schema_hash)
        return Key(self._keyring.claim("derived", *scope, resolved.spelled), "derived")

    def task_so_far(self, call: Call) -> Task | None:
        """The task of a call that goes no further; None: its client names none, and none is open."""
        named = self._named(call)
        if named is not None:
            return named
        known = self._implicit.get((call.principal.tenant, call.principal.id))
        return known[0] if known is not None and self._store.now() - known[1] < self._idle_ms else None

    async def _task(self, call: Call) -> Task:
        if (named := self._named(call)) is not None:
            return named
        scope, now = (call.principal.tenant, call.principal.id), self._store.now()
        known = self._implicit.get(scope)
        if known is None or now - known[1] >= self._idle_ms:
            task = await self._store.write(lambda tx: tx.tasks.implicit(*scope, self._idle_ms))
        else:
            task = known[0]
        self._implicit[scope] = (task, now)
        return task

    def _named(self, call: Call) -> Task | None:
        carried, principal = call.carried, call.principal
        for text, source in (
            (carried.meta_task, "meta"),
            (carried.header_task, "header"),
            (carried.thread, "client_thread"),
            (carried.session, "session"),
        ):
            if text:
                return Task(_pseudonym(self._keyring, principal, source, text), source)
        return None

    def _fingerprint(self, resolved: Resolved) -> bytes:
        """What makes two calls the same (I-5); keyed, for it stands on the ledger, and arguments can be guessed."""
        tool = resolved.tool
        return self._keyring.claim("fingerprint", tool.name, tool.schema_hash, resolved.mode, resolved.spelled)


def name_of(task: Task, carried: Carried) -> str | None:
    """What the caller calls its task, of which the ledger has a keyed hash; None: it gave it no name."""
    return {"meta": carried.meta_task, "header": carried.header_task}.get(task.source)


def tasks_named(keyring: Keyring, principals: Iterable[Principal], name: str) -> frozenset[str]:
    """The ids under which a task of this name may stand on the ledger: each of `principals` has its own (I-16)."""
    return frozenset(
        _pseudonym(keyring, principal, source, name)
        for principal in principals
        for source in ("meta", "header", "client_thread", "session")
    )


def _pseudonym(keyring: Keyring, principal: Principal, source: str, name: str) -> str:
    """The id of a task that a client named: a pseudonym, for what it is called may be somebody's business."""
    return keyring.pseudonym(principal.tenant, f"{principal.id}/{source}/{name}")
