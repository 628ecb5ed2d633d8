"""Calls through a real gateway: one around a connector, with a temporary folder and no network but loopback."""

from __future__ import annotations

import asyncio
import copy
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, Generic, Protocol, Self, TypeVar

from gateway import holds, replies
from gateway.app import App
from gateway.authorization import header_of, presented
from gateway.connector import Connector
from gateway.identity.api_keys import create_key
from gateway.keyring import Keyring
from gateway.model import Kind, Principal, Role, Surface, new_id
from gateway.outcome import Outcome
from gateway.settings import Home
from gateway.store.transaction import Transaction
from gateway.testing.client import Listening, Made, spelled
from gateway.testing.clock import Clock
from gateway.testing.driver import Driver, cast
from gateway.testing.secrecy import MemoryVault, captured
from gateway.testing.upstream import FakeUpstream
from gateway.tools.catalogue import UnknownTool
from gateway.tools.envelope import to_wire

_TENANT: Final = "default"
_GROUP: Final = "testers"


class Witnessed(Protocol):
    """A system of record that can be asked what arrived.

    `FakeUpstream` is one. Wrap a sandbox of the real system as another, and the same assertions hold for it.
    """

    @property
    def url(self) -> str:
        """`http://host:port`, without a slash at its end."""
        ...

    @property
    def writes(self) -> list[Any]:
        """Every request so far that asked for a change."""
        ...

    @property
    def effects(self) -> list[Any]:
        """Those that did change something."""
        ...

    def lose_next_answer(self) -> None:
        """Do what the next write asks, and cut its connection instead of answering."""
        ...


def agent(name: str, *groups: str, owner: str | None = None) -> Principal:
    """An agent, for `as_`: whom it belongs to, and the groups by which policies know it."""
    return Principal(_TENANT, name, Kind.AGENT, frozenset(groups), owner=owner)


def human(name: str, *groups: str) -> Principal:
    """A person, for `as_`: one who may call, and may approve what a policy asks these groups about."""
    return Principal(_TENANT, name, Kind.HUMAN, frozenset(groups), frozenset({Role.CALLER, Role.APPROVER}))


U = TypeVar("U", bound=Witnessed)


class Harness(Driver, Generic[U]):
    """A whole gateway around one or more connectors, until the end of an `async with` block.

    Everything in it is the product: pipeline, policy, store, ledger, broker and outbound door. The database is in a
    temporary folder, and each connector's `base_url` and credential are replaced for the block; the connectors
    themselves are not touched.

        async with Harness(shop, upstream=upstream) as gate:
            outcome = await gate.call("shop_refund", {"order": "ord_1", "cents": 500})

    Args:
        connectors: what is under test.
        upstream: the system of record; a `FakeUpstream` is started and stopped with the block.
        policy: the file that will be deployed, or a document as a mapping. Left out, every tool is allowed. A mapping
            may leave out `policy` and `applies_to`, and then is about the default caller.
        as_: who calls unless a call says otherwise; left out, an agent of a group that the default policy is about.
        secret: the value of every credential; left out, one that exists for this block only.

    Raises:
        StartupError: on entering, for a connector or policy that the gateway would not start with.
    """

    def __init__(
        self,
        *connectors: Connector,
        upstream: U,
        policy: Path | Mapping[str, Any] | None = None,
        as_: Principal | None = None,
        secret: str | None = None,
    ) -> None:
        self.upstream = upstream
        self.clock = Clock()
        self.secret = secret or f"canary:{secrets.token_hex(12)}/+&<=>"
        self.answers: list[dict[str, Any]] = []
        """Every answer so far, as an agent gets it."""
        self.logs: list[str] = []
        """Every log line so far, as the gateway writes it."""
        self.progress: list[tuple[float, float | None, str]] = []
        """What tools have said of how far they were: done, total, message."""
        self.told: list[tuple[str, str]] = []
        """What tools have told whoever watches the client: level, message."""
        self.updated: list[str] = []
        """The URI of each resource that clients were told has changed."""
        self._client = Listening(self.progress, self.told)
        self._connectors = [_copied(connector) for connector in connectors]
        self._policy = policy
        self._caller = as_ or agent("test-agent", _GROUP)
        self._keys: dict[Principal, str] = {}
        self._admitting = asyncio.Lock()
        self._made: dict[str, Made] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.folder = Path(stack.enter_context(TemporaryDirectory(prefix="holdgate-test-")))
            """Where its database, its ledger and its settings are."""
            if isinstance(self.upstream, FakeUpstream):
                await stack.enter_async_context(self.upstream)
                self._introduce(self.upstream)
            home = self._furnished()
            references = {connector.credential for connector in self._connectors if connector.credential}
            vault = MemoryVault(dict.fromkeys(references, self.secret))
            self.app = App(home, connectors=self._connectors, vault=vault, clock=self.clock)
            self.logs = stack.enter_context(captured(self.app.redactor))
            self.app.subscribe_updated(self._has_changed)
            await self.app.start()
            stack.push_async_callback(self.app.stop)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def call(
        self,
        tool: str,
        arguments: Mapping[str, Any] | None = None,
        *,
        as_: Principal | None = None,
        dry_run: bool = False,
        delivered: bool = True,
    ) -> Outcome:
        """One call, as an agent makes it: `reason`, `evidence` and `idempotency_key` are arguments too.

        Args:
            as_: who calls; `agent` and `human` make somebody.
            dry_run: ask for a preview only.
            delivered: False: the client had gone before the answer reached it.

        Returns:
            What the agent is told. A refusal is an outcome as well; a hidden tool is refused as `unknown_tool`.
        """
        given = dict(arguments or {}) | ({"dry_run": True} if dry_run else {})
        return await self._carry(Made(as_ or self._caller, Surface.TOOL, tool, given), delivered=delivered)

    async def read_resource(self, uri: str, *, as_: Principal | None = None) -> Outcome:
        """One read of a resource, as a client makes it; what is no JSON is in the outcome's `content`."""
        return await self._carry(Made(as_ or self._caller, Surface.RESOURCE, uri, {}))

    async def get_prompt(
        self, name: str, arguments: Mapping[str, Any] | None = None, *, as_: Principal | None = None
    ) -> Outcome:
        """One prompt, as a client gets it for its user; its messages are the outcome's `content`."""
        return await self._carry(Made(as_ or self._caller, Surface.PROMPT, name, dict(arguments or {})))

    async def complete(self, name: str, argument: str, begun: str, *, as_: Principal | None = None) -> list[str]:
        """What a client offers for an argument of a resource or a prompt, once so much of it has been typed.

        Args:
            name: of the prompt or the resource, as in a policy.
        """
        caller = await self.app.api_keys.authenticate(await self._key(as_ or self._caller))
        assert caller is not None, "the caller's key does not open"
        tool = self.app.catalogue.tools[name]
        return self.app.complete(caller, tool.surface, tool.address.text if tool.address else name, argument, begun)

    async def answer(self, asked: Outcome, answers: Mapping[str, Any]) -> Outcome:
        """The call again, with what the client answered to the questions that it ended with.

        Args:
            answers: by the question's name: the fields of a form, the text of a sample, the URIs of roots; None where
                the user would not say.
        """
        given = {name: spelled(asked.asks[name], answer) for name, answer in answers.items()}
        return await self._carry(self._made[asked.action_id], continues=asked.action_id, answers=given)

    async def approve(self, held: Outcome, *, as_: Principal) -> holds.Vote:
        """A person's yes to a held call; `accepted` and `message` of the result say whether it counts."""
        key = await self._key(as_)
        return await self.app.store.write(lambda tx: cast(tx, held.action_id, key, "approve"))

    async def deny(self, held: Outcome, *, as_: Principal) -> holds.Vote:
        """A person's no to a held call."""
        key = await self._key(as_)
        return await self.app.store.write(lambda tx: cast(tx, held.action_id, key, "deny"))

    async def settled(self, outcome: Outcome) -> Outcome:
        """What the caller of a held, running or unknown action is told once it has come to an end."""
        id = outcome.action_id
        await self.sweep()
        await self.until(lambda tx: (row := tx.actions.get(id)) and row.state.terminal, f"{id} to end")
        return await self.call("get_action", {"action_id": id}, as_=self._made[id].caller)

    async def _has_changed(self, uri: str) -> None:
        self.updated.append(uri)

    async def _carry(
        self,
        call: Made,
        *,
        delivered: bool = True,
        continues: str | None = None,
        answers: Mapping[str, Any] | None = None,
    ) -> Outcome:
        key = await self._key(call.caller)
        try:
            outcome = await self.ask(
                key,
                call.name,
                call.arguments,
                surface=call.surface,
                client=self._client,
                delivered=delivered,
                continues=continues,
                answers=answers or {},
            )
        except UnknownTool as unknown:
            outcome = replies.refused(unknown, new_id("act"))
        self._made.setdefault(outcome.action_id, call)
        self.answers.append(to_wire(outcome))
        return outcome

    async def _key(self, principal: Principal) -> str:
        """The principal's API key; made, with the principal, when they first come."""

        def admit(tx: Transaction) -> str:
            tx.people.put(principal)
            return create_key(tx, principal, by="test")

        async with self._admitting:
            if principal not in self._keys:
                self._keys[principal] = await self.app.store.write(admit)
            return self._keys[principal]

    def _introduce(self, upstream: FakeUpstream) -> None:
        """Tell a fake what the connectors promise of the true one."""
        for connector in self._connectors:
            if connector.credential is not None:
                upstream.accept(header_of(connector.auth), presented(connector.auth, self.secret))
            upstream.idempotency_header = connector.idempotency_header or upstream.idempotency_header

    def _furnished(self) -> Home:
        """The folder as `holdgate init` would leave it, but for the vault, which is in memory."""
        policy = self._policy if isinstance(self._policy, Path) else self.folder / "policy.yaml"
        if not isinstance(self._policy, Path):
            everything = {name: "allow" for connector in self._connectors for name in connector.tools}
            document = {"policy": "test", "applies_to": {"groups": [_GROUP]}, **(self._policy or {"tools": everything})}
            policy.write_text(json.dumps(document, indent=1), encoding="utf-8")  # which is YAML, and has no anchors
        settings = {
            "data": "data",
            "policies": [str(policy.absolute())],
            "connector": {
                connector.name: {"base_url": self.upstream.url, "internal": True} for connector in self._connectors
            },
        }
        file = self.folder / "holdgate.yaml"
        file.write_text(json.dumps(settings, indent=1), encoding="utf-8")
        home = Home(file)
        home.data.mkdir(mode=0o700)
        Keyring.create(home.gateway_key)
        return home


def _copied(connector: Connector) -> Connector:
    """A connector of the harness's own: what the settings change of it stays in the block."""
    own = copy.copy(connector)
    own.tools = {name: replace(tool, connector=own) for name, tool in connector.tools.items()}
    return own
