"""Changes of resources: which write of ours brings them about, and who may hear of them.

The gateway watches no system of record. It tells of what it has changed itself: a write declares which resources it
changes, and when it has ended they are named to those who asked, if they may read them at that moment.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from gateway.decision import Verdict
from gateway.errors import HoldgateError
from gateway.model import Action, Call, Principal, Surface
from gateway.policy.inquiry import Inquiry
from gateway.policy.live import LivePolicy
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.tools.catalogue import Catalogue

log = logging.getLogger("holdgate.updates")


class Updates:
    """Tells of changes. To ask for them is a matter of the pipeline: see `Pipeline.watch`."""

    def __init__(self, store: Store, catalogue: Catalogue, policy: LivePolicy) -> None:
        self._store = store
        self._catalogue = catalogue
        self._policy = policy
        self._listeners: list[Callable[[str], Awaitable[None]]] = []
        self._telling: set[asyncio.Task[None]] = set()

    def subscribe(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have `callback` awaited with the URI of each resource that may have changed."""
        self._listeners.append(callback)

    def wrote(self, action: Action) -> None:
        """A write has ended, and it happened or may have. Nothing waits for what is told of it."""
        if action.tool.changes:
            task = asyncio.create_task(self._tell(action))
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)

    async def may_hear(self, principal: Principal, uri: str) -> bool:
        """Whether policy, credential and switches would let the principal read this resource now."""
        call = Call(principal, uri, {}, surface=Surface.RESOURCE)
        tool, policy = self._catalogue.find(call), self._policy.current
        if tool is None or tool.name not in policy.visible(principal):
            return False
        try:
            resolved = self._catalogue.resolve(call)
            inquiry = Inquiry(principal, tool, resolved.arguments, resolved.given, None, (), "")
            if policy.decide(inquiry).verdict is not Verdict.ALLOW:
                return False

            def stands(tx: Transaction) -> bool:
                tenant, id = principal.tenant, principal.id
                stopped = tx.switches.stopping(tenant, id, tool.name, tool.connector.name)
                return stopped is None and tx.people.active(tenant, id, principal.key_id)

            return await self._store.read(stands)
        except HoldgateError:
            return False

    async def _tell(self, action: Action) -> None:
        for uri in (address.filled(action.arguments) for address in action.tool.changes):
            for listener in self._listeners:
                try:
                    await listener(uri)
                except Exception as broken:  # one client that cannot be told must not keep the others from it
                    log.warning("announcement_failed", exc_info=broken)
