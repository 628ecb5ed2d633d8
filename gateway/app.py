"""The composition root: the only module that sees every room. One `App` is one gateway process."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
from collections.abc import Awaitable, Callable, Sequence

from gateway.admission import Admission, Limits
from gateway.connector import Connector
from gateway.decision import Rate
from gateway.equipment import load_catalogue, open_vault
from gateway.errors import LedgerUnavailable
from gateway.executor import Executor
from gateway.floods import Floods
from gateway.follow_up import FollowUp
from gateway.gauges import Gauges
from gateway.identify import Identifier
from gateway.identity.api_keys import ApiKeys
from gateway.instances import Instance
from gateway.keyring import Keyring
from gateway.ledger.checkpoint import Checkpointer
from gateway.ledger_line import Event
from gateway.model import Call, Principal, Surface
from gateway.outbound.door import Door
from gateway.outcome import Outcome
from gateway.pipeline import Pipeline
from gateway.policy.live import LivePolicy, Reload
from gateway.reconcile import Reconciler
from gateway.redact import Redactor
from gateway.settings import Home
from gateway.stops import SecondLook
from gateway.store.clock import Clock, wall_clock
from gateway.store.sqlite import SqliteStore
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics
from gateway.throttle import Throttle
from gateway.tools import own_tools
from gateway.tools.offers import Offer
from gateway.tools.published import Published
from gateway.updates import Updates
from vault.broker import Backend, Broker

log = logging.getLogger("holdgate.app")

_POLICY_LOOK = 0.5


class App:
    """A gateway over one data folder: what the MCP face, the HTTP front and the command line talk to.

    Args:
        home: the settings and their paths.
        connectors: in place of those that the settings name; the settings about each still count.
        vault: in place of the one that the settings describe.
        clock: the store's; tests may turn it.

    Raises:
        StartupError: with file, line and remedy; nothing has been started then.
    """

    def __init__(
        self,
        home: Home,
        *,
        connectors: Sequence[Connector] | None = None,
        vault: Backend | None = None,
        clock: Clock = wall_clock,
    ) -> None:
        settings, limits = home.settings, home.settings.limits
        self.home = home
        self.tenant = settings.tenant
        self.catalogue = load_catalogue(home, connectors)
        self.policy = LivePolicy(home.policies, self.catalogue.tools)
        self.keyring = Keyring.load(home.gateway_key)
        self.store = SqliteStore(home.database, self.keyring.head_mac, clock)
        self.instance = Instance(home.instances)
        self.redactor = Redactor()
        self.vault = open_vault(home) if vault is None else vault
        self.broker = Broker(self.vault, on_secret=self.redactor.learn)
        self.door = Door(self.broker, self.redactor, stopped=SecondLook(self.store))
        self.api_keys = ApiKeys(self.store)
        keep = limits.keep_answers_hours * 3_600_000
        throttle, rate = Throttle(), Rate(limits.calls_per_minute, 60.0)
        self.updates = Updates(self.store, self.catalogue, self.policy)
        self.executor = Executor(
            self.store, self.keyring, self.door, self.redactor.scrub, self.updates.wrote, keep_bodies=keep
        )
        admission = Admission(
            self.store,
            self.keyring,
            self.instance.id,
            Limits(limits.repeat_window_seconds * 1_000, limits.pending_holds),
        )
        self.floods = Floods(self.store)
        self.pipeline = Pipeline(
            catalogue=self.catalogue,
            policy=self.policy,
            store=self.store,
            keyring=self.keyring,
            identifier=Identifier(self.store, self.keyring, idle_ms=limits.task_idle_seconds * 1_000),
            throttle=throttle,
            principal_rate=rate,
            admission=admission,
            executor=self.executor,
            floods=self.floods,
        )
        self.follow_up = FollowUp(self.store, self.keyring, self.executor, throttle, rate)
        self.checkpointer = Checkpointer(self.keyring.checkpoint_key, home.checkpoints)
        self.reconciler = Reconciler(
            store=self.store,
            keyring=self.keyring,
            catalogue=self.catalogue,
            policy=self.policy,
            pipeline=self.pipeline,
            admission=admission,
            executor=self.executor,
            floods=self.floods,
            instance=self.instance,
            checkpointer=self.checkpointer,
            on_change=self._store_changed,
            keep_bodies=keep,
        )
        self._versions: dict[frozenset[str], int] = {}
        self._list_listeners: list[Callable[[], Awaitable[None]]] = []
        self._loops: list[asyncio.Task[None]] = []

    # -- the Gateway that the MCP face knows

    async def handle(self, call: Call) -> Outcome:
        """Answer one call.

        Raises:
            UnknownTool: absent or hidden.
        """
        own = call.surface is Surface.TOOL and call.tool in own_tools.INPUTS
        outcome = await (self.follow_up.handle(call) if own else self.pipeline.handle(call))
        if metrics.on():
            metrics.answered(call.tool if own else self._counted_as(call), outcome)
        return outcome

    def knows(self, tool: str) -> bool:
        """Whether there is a tool of that name, visible to the caller or not."""
        return tool in own_tools.INPUTS or tool in self.catalogue.tools

    def tells_of_writes(self, tool: str) -> bool:
        """Whether an answer of that name may tell how a write ended: of a writing tool, or of the gateway's own."""
        known = self.catalogue.tools.get(tool)
        return known.writes if known is not None else tool in own_tools.INPUTS

    def talks(self, tool: str) -> bool:
        """Whether the tool of that name may say something to its client before its answer."""
        known = self.catalogue.tools.get(tool)
        return known is not None and known.talks

    def offered(self, principal: Principal) -> Sequence[Published]:
        """The tools this principal may see, by policy; the gateway's own ones always."""
        visible = self._visible(principal, Surface.TOOL)
        return [*map(self.catalogue.published, visible), *own_tools.PUBLISHED.values()]

    def offers(self, principal: Principal, surface: Surface) -> Sequence[Offer]:
        """The resources or prompts this principal may see, by policy."""
        return [*map(self.catalogue.offer, self._visible(principal, surface))]

    def surfaces(self) -> frozenset[Surface]:
        """What there is at all, for somebody."""
        return frozenset({Surface.TOOL, *(tool.surface for tool in self.catalogue.tools.values())})

    def complete(self, principal: Principal, surface: Surface, name: str, argument: str, begun: str) -> list[str]:
        """Values for an argument of a resource or a prompt; see `Pipeline.complete`."""
        return self.pipeline.complete(principal, surface, name, argument, begun)

    async def watch(self, call: Call) -> Outcome | None:
        """Decide whether the caller may be told of changes of a resource; see `Pipeline.watch`."""
        return await self.pipeline.watch(call)

    async def may_hear(self, principal: Principal, uri: str) -> bool:
        """Whether this principal may read the resource now."""
        return await self.updates.may_hear(principal, uri)

    def subscribe_updated(self, callback: Callable[[str], Awaitable[None]]) -> None:
        """Have `callback` awaited with the URI of each resource that a write of ours may have changed."""
        self.updates.subscribe(callback)

    def catalogue_version(self, principal: Principal) -> str:
        """Names what this principal is offered. Schemas are pinned while a process lives, so that names tell it all."""
        visible = self.policy.current.visible(principal)
        return f"{self.instance.id}/{self._versions.setdefault(visible, len(self._versions))}"

    async def delivered(self, action_ids: Sequence[str]) -> None:
        """Note that these answers were handed over whole; a note that is lost errs on the safe side."""
        ids, at = list(action_ids), self.store.now()
        self.store.note(lambda tx: tx.actions.delivered(ids, at))

    def subscribe_list_changed(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Have `callback` awaited when what somebody may see may have changed."""
        self._list_listeners.append(callback)

    # -- the life of the process

    async def start(self) -> None:
        """Open the ledger's chapter, sweep what the last process left, and begin to watch."""
        policy_hash = self.policy.current.hash
        await self.store.write(
            lambda tx: tx.ledger.append(
                Event.WRITER_OPEN, tenant=self.tenant, instance=self.instance.id, policy=policy_hash, pid=os.getpid()
            )
        )
        await self.reconciler.sweep()
        self._loops = [asyncio.create_task(self.reconciler.run()), asyncio.create_task(self._watch_policy())]
        if metrics.on():
            self._loops.append(asyncio.create_task(Gauges(self.store).run()))
        # What start-up made lives as long as the process: the collector need not walk it on every call. A call makes a
        # thousand objects and hardly a cycle, so that it need not look as often, either.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 50, 100)
        log.info("started", extra={"instance": self.instance.id, "tools": len(self.catalogue.tools)})

    async def stop(self) -> None:
        """Refuse what is new, begin nothing any more, wait for what is under way, sign the ledger's end."""
        self.pipeline.close()
        for loop in self._loops:
            loop.cancel()
        await asyncio.gather(*self._loops, return_exceptions=True)
        left = await self.executor.drain(self.home.settings.limits.drain_seconds)
        with contextlib.suppress(LedgerUnavailable):
            await self.floods.tell(all_of_them=True)
            await self.store.write(
                lambda tx: tx.ledger.append(
                    Event.WRITER_CLOSE, tenant=self.tenant, instance=self.instance.id, unfinished=left
                )
            )
            note = await self.store.write(lambda tx: self.checkpointer.make(tx, force=True))
            if note is not None:
                self.checkpointer.publish(note)
        await self.door.close()
        await self.broker.close()
        self.store.close()
        self.instance.close()
        log.info("stopped", extra={"unfinished": left})

    async def ready(self) -> bool:
        """Whether calls can be recorded now."""
        try:
            await self.store.write(lambda tx: tx.ledger.touch())
        except LedgerUnavailable:
            return False
        return True

    def _visible(self, principal: Principal, surface: Surface) -> list[str]:
        tools = self.catalogue.tools
        return [name for name in sorted(self.policy.current.visible(principal)) if tools[name].surface is surface]

    def _counted_as(self, call: Call) -> str:
        tool = self.catalogue.find(call)
        return tool.name if tool else metrics.UNKNOWN_TOOL

    async def _store_changed(self) -> None:
        self.follow_up.changed()
        await self.api_keys.look_again()

    async def _watch_policy(self) -> None:
        while True:
            await asyncio.sleep(_POLICY_LOOK)
            reload = self.policy.reload_if_changed()
            if reload is None:
                continue
            if reload.problem is not None:
                log.error("policy_refused", extra={"why": str(reload.problem), "in_force": reload.after})
                continue
            if reload.before == reload.after:
                log.info("policy_sound_again", extra={"in_force": reload.after})
                continue
            log.info("policy_changed", extra={"before": reload.before, "after": reload.after})
            await self._record_policy(reload)
            for listener in self._list_listeners:
                try:
                    await listener()
                except Exception as broken:  # a client that is gone must not stop the watch over policies
                    log.warning("announcement_failed", exc_info=broken)

    async def _record_policy(self, reload: Reload) -> None:
        def record(tx: Transaction) -> None:
            tx.ledger.append(Event.CONFIG, tenant=self.tenant, policy=reload.after, policy_before=reload.before)

        with contextlib.suppress(LedgerUnavailable):
            await self.store.write(record)
