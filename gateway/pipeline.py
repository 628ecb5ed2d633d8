"""The way of a call, top to bottom: gate, admit, act, settle. The security order is this file."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import replace

from gateway import asking, replies
from gateway.admission import Admission, LookFirst
from gateway.connector import Tool
from gateway.decision import Decision, Rate, Verdict
from gateway.errors import CredentialUnavailable, HoldgateError, LedgerUnavailable, Refusal, UpstreamError
from gateway.evidence import cited
from gateway.executor import Executor
from gateway.floods import Floods
from gateway.identify import Identifier
from gateway.keyring import Keyring
from gateway.ledger_line import Event
from gateway.model import Action, Call, Mode, Principal, Shown, Surface, new_id
from gateway.outcome import Outcome
from gateway.permit import Permit
from gateway.policy.inquiry import Inquiry
from gateway.policy.live import LivePolicy
from gateway.repeats import Prior
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics
from gateway.telemetry.spans import phase
from gateway.throttle import Throttle, everything_of
from gateway.tools.catalogue import Catalogue, UnknownTool

log = logging.getLogger("holdgate.pipeline")


class Pipeline:
    """Answers every call with exactly one outcome, and leaves exactly one outcome on the ledger."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        policy: LivePolicy,
        store: Store,
        keyring: Keyring,
        identifier: Identifier,
        throttle: Throttle,
        principal_rate: Rate,
        admission: Admission,
        executor: Executor,
        floods: Floods,
    ) -> None:
        self._catalogue = catalogue
        self._policy = policy
        self._store = store
        self._keyring = keyring
        self._identifier = identifier
        self._throttle = throttle
        self._principal_rate = principal_rate
        self._admission = admission
        self._executor = executor
        self._floods = floods
        self._closing = False

    async def handle(self, call: Call) -> Outcome:
        """Carry one call through the house.

        Raises:
            UnknownTool: hidden and absent alike; recorded, and a protocol error rather than an answer.
        """
        passed = await self._passed(call)
        if isinstance(passed, Outcome):
            return passed
        action, decision = passed
        work = self._executor.own(action.id, self._act(action, decision))
        return work.result() if await _done(work, action.deadline) else replies.running(action.id)

    def complete(self, principal: Principal, surface: Surface, name: str, argument: str, begun: str) -> list[str]:
        """Values for an argument of a prompt or of a resource, by its template, that begin as `begun` does.

        Like the lists it tells what a connector declares, reaches no upstream and leaves no line; but it spends rate.

        Raises:
            UnknownTool: hidden and absent alike.
            Refusal: `rate_limited` or `shutting_down`.
        """
        tool = self._see(principal, self._catalogue.declared(surface, name), surface, name)
        return self._catalogue.completions(tool, argument, begun)

    async def watch(self, call: Call) -> Outcome | None:
        """Decide whether the caller may be told of changes of a resource, as if it were read; nothing is sent.

        Returns:
            The refusal, recorded as any; None: it may. What is held each time it is read is not told of.

        Raises:
            UnknownTool: as for `handle`.
        """
        passed = await self._passed(call)
        if isinstance(passed, Outcome):
            return passed
        action, decision = passed
        if decision.verdict is Verdict.ALLOW:
            return None
        said = "A human approves each read of this, so nobody is told of its changes."
        return await self._refused(call, Refusal("not_permitted", said), action.tool)

    def close(self) -> None:
        """Refuse what comes from now on; what is under way goes on."""
        self._closing = True

    async def _passed(self, call: Call) -> tuple[Action, Decision] | Outcome:
        """What the gate lets through; of what it does not, the answer, when that is on the ledger.

        Raises:
            UnknownTool: as for `handle`.
        """
        try:
            return await self._gate(call)
        except UnknownTool as unknown:
            await self._refused(call, unknown, self._catalogue.find(call))
            raise
        except Refusal as refusal:
            return await self._refused(call, refusal, self._catalogue.find(call))
        except LedgerUnavailable as down:
            return replies.not_recorded(down, new_id("act"))

    async def _gate(self, call: Call) -> tuple[Action, Decision]:
        """Rates, names, arguments, policy: nothing is written, nothing goes out.

        Policy stands before idempotency, so that a revoked caller cannot read a stored answer.
        """
        principal, policy = call.principal, self._policy.current
        self._see(principal, self._catalogue.find(call), call.surface, call.tool)
        action = await self._identifier.identify(call, self._catalogue.resolve(call))
        with phase("decide", action):
            decision = policy.decide(await self.inquiry(action, self._store.now()))
        metrics.decided(action, decision)
        if decision.verdict is Verdict.DENY:
            raise Refusal(decision.code, decision.message, rules=tuple(rule.id for rule in decision.rules))
        if call.continues is not None:
            action = replace(action, resumed=await asking.resumed(self._store, self._keyring, call, action))
        return action, decision

    def _see(self, principal: Principal, tool: Tool | None, surface: Surface, name: str) -> Tool:
        """`tool`, if the principal may see it; each attempt spends rate.

        A hidden tool has no rate of its own: running into it would tell that there is such a tool (semantics.md T-5).

        Raises:
            UnknownTool: hidden and absent alike.
        """
        if self._closing:
            raise Refusal("shutting_down", "The gateway is restarting.", retry_after_ms=2_000)
        everything = everything_of(principal, self._principal_rate)
        rates = self._policy.current.rates(principal, tool.name) if tool is not None else None
        if tool is None or rates is None:
            self._throttle.admit((everything,))
            raise UnknownTool(name, surface)
        self._throttle.admit((everything, *rates))
        return tool

    async def inquiry(self, action: Action, at: int) -> Inquiry:
        """What policy is asked about an action, with the evidence as the ledger knew it at the moment `at` (ms)."""
        return Inquiry(
            principal=action.principal,
            tool=action.tool,
            arguments=action.arguments,
            given=action.given,
            reason=action.reason,
            evidence=await cited(self._store, self._keyring, action.principal, action.evidence, at),
            task_id=action.task.id,
        )

    async def _act(self, action: Action, decision: Decision) -> Outcome:
        """Admit, act and settle. Runs in a task of its own: a caller who leaves does not stop it (semantics.md I-9)."""
        try:
            with phase("admit", action):
                admitted = await self._admission.admit(action, decision, None)
                if isinstance(admitted, LookFirst):
                    admitted = await self._admission.admit(action, decision, await self._look(action))
            match admitted:
                case Permit() as permit:
                    return replies.foretold(await self._executor.run(action, permit), decision)
                case Prior(row=row):
                    return await self._join(action, row.id)
                case Outcome() as held:
                    return held
                case LookFirst():
                    raise HoldgateError("a hold was asked to look twice")
        except Refusal as refusal:
            metrics.refused(action.tool.name, refusal.code)
            return replies.refused(refusal, action.id)
        except LedgerUnavailable as down:
            return replies.not_recorded(down, action.id)
        except UpstreamError as failed:
            return await self._failed(action, failed.code, failed.message)
        except CredentialUnavailable as missing:
            return await self._failed(action, "credential_unavailable", str(missing))
        except Exception as broken:
            log.error("internal_error", exc_info=broken, extra={"action": action.id, "tool": action.tool.name})
            return replies.broken(action)

    async def _look(self, action: Action) -> Shown:
        """The preview that the reviewers of a held call will see."""
        return await self._executor.show(action, await self._admission.permit_look(action))

    async def _join(self, action: Action, original: str) -> Outcome:
        """Answer from an earlier action: wait for it while it runs here, then tell its answer (semantics.md I-12)."""
        under_way = self._executor.running(original)
        if under_way is not None and under_way is not asyncio.current_task():
            await asyncio.wait({under_way}, timeout=action.deadline)
        metrics.replayed(action)
        source = action.key.source if action.key else None

        def tell(tx: Transaction) -> Outcome:
            row = tx.actions.get(original)
            return replies.replay(tx, self._keyring, row, source) if row else replies.running(original)

        return await self._store.read(tell)

    async def _refused(self, call: Call, refusal: Refusal, tool: Tool | None) -> Outcome:
        """Refusals are on the ledger too, with no more of the call than may be written there."""
        known = tool.name if tool is not None else None
        metrics.refused(known, refusal.code)
        if (told_with := self._floods.join(call, refusal, known)) is not None:
            return replies.refused(refusal, told_with)
        action_id, task = new_id("act"), self._identifier.task_so_far(call)
        facts = {
            "action": action_id,
            "tenant": call.principal.tenant,
            "principal": call.principal.id,
            "api_key": call.principal.key_id,
            "tool": known,
            "mode": str(Mode.PREVIEW) if call.carried.preview else None,
            "task": task.id if task is not None else None,
            "task_source": task.source if task is not None else None,
            "code": refusal.code,
            "rules": list(refusal.rules) or None,
            "policy": self._policy.current.hash,
        }
        client_call = call.carried.client_call_id
        try:
            await self._store.write(lambda tx: tx.ledger.append(Event.REFUSED, **facts, client_call=client_call))
        except LedgerUnavailable as down:
            return replies.not_recorded(down, action_id)
        self._floods.begin(call, refusal, facts)
        return replies.refused(refusal, action_id)

    async def _failed(self, action: Action, code: str, message: str) -> Outcome:
        """A held call whose preview could not be made: nobody was asked, nothing was done."""
        call = Call(action.principal, action.tool.name, {}, action.carried)
        outcome = await self._refused(call, Refusal(code, message), action.tool)
        return replies.failed(code, message, outcome.action_id)


async def _done(work: asyncio.Task[Outcome], seconds: float) -> bool:
    """Whether `work` is done by then. `asyncio.wait` without its sets: this is on the way of every call."""
    loop = asyncio.get_running_loop()
    waiting = loop.create_future()

    def wake(_: object = None) -> None:
        if not waiting.done():
            waiting.set_result(None)

    work.add_done_callback(wake)
    timer = loop.call_later(seconds, wake)
    try:
        await waiting
    finally:
        timer.cancel()
        work.remove_done_callback(wake)
    return work.done()
