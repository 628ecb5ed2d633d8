"""Run a permitted action in a task of the gateway's own, shape its answer, and settle it (semantics.md I-6..I-9)."""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from gateway import canonical, replies
from gateway.connector import Found, Preview, Tool, Upstream
from gateway.conversation import Clean, Conversation, Unanswered
from gateway.errors import AnswerRefused, CredentialUnavailable, LedgerUnavailable, UpstreamError
from gateway.keyring import Keyring
from gateway.ledger_line import Event
from gateway.lines import end_facts
from gateway.model import Action, Mode, Shown
from gateway.outcome import Ended, Outcome, State
from gateway.permit import Permit
from gateway.returned import returned
from gateway.settle import Settlement
from gateway.store.protocol import Store
from gateway.store.transaction import Transaction
from gateway.telemetry import metrics
from gateway.telemetry.spans import phase

log = logging.getLogger("holdgate.executor")

_FIRST_LOOK_MS = 2_000
_COME_TO_NOTHING = ("credential_unavailable", "upstream_busy", "upstream_unreachable", "switched_off", "not_permitted")
"""Failures of the way there, and not of the call: the same one may be made again under its key."""
T = TypeVar("T")
Wrote = Callable[[Action], None]
"""Told of each action that has ended and happened, or may have."""


class OpenUpstream(Upstream, Protocol):
    """The door's end of an upstream, and what went through it so far."""

    @property
    def wrote(self) -> bool:
        """Whether a write of this action happened, may have, or is under way."""
        ...

    @property
    def acknowledged(self) -> bool:
        """Whether every write that went out was answered with success."""
        ...

    @property
    def accounted_for(self) -> bool:
        """Whether of every write its own answer, or a read that began since, can have told what became of it."""
        ...

    @property
    def credential_version(self) -> str | None:
        """Of the credential that was lent last; None before, or where there is none."""
        ...

    def close(self) -> None:
        """Let nothing out any more."""
        ...


class Door(Protocol):
    """The only way out."""

    def open(self, tool: Tool, permit: Permit, *, deadline: float) -> OpenUpstream:
        """Args: deadline: `time.monotonic()` seconds after which nothing may be waited for."""
        ...


class Executor:
    """Owns every dispatch under way. A caller may leave; the dispatch stays (semantics.md I-9)."""

    def __init__(
        self, store: Store, keyring: Keyring, door: Door, clean: Clean, wrote: Wrote, *, keep_bodies: int
    ) -> None:
        self._wrote = wrote
        self._store = store
        self._keyring = keyring
        self._door = door
        self._clean = clean
        self._keep_bodies = keep_bodies
        self._running: dict[str, asyncio.Task[Any]] = {}

    def own(self, action_id: str, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start work on an action that outlives its caller."""
        task = asyncio.create_task(work)
        self._running[action_id] = task
        task.add_done_callback(lambda _: self._running.pop(action_id, None))
        return task

    def running(self, action_id: str) -> asyncio.Task[Any] | None:
        """The work on an action in this process, if it is under way."""
        return self._running.get(action_id)

    async def drain(self, seconds: float) -> int:
        """Wait for what is under way. How many were left when time ran out; the next start sweeps those."""
        if self._running:
            await asyncio.wait(set(self._running.values()), timeout=seconds)
        return len(self._running)

    async def run(self, action: Action, permit: Permit) -> Outcome:
        """Dispatch, and settle: the outcome is durable before it is returned."""
        started = time.monotonic()
        if permit.mode is Mode.PREVIEW:
            with phase("preview", action):
                ended = await self._preview_outcome(action, permit)
        else:
            with phase("dispatch", action):
                ended = await self._dispatch(action, permit)
        with phase("settle", action):
            return await self.settle(action, permit.fence, ended, seconds=time.monotonic() - started)

    async def show(self, action: Action, permit: Permit) -> Shown:
        """What the action would change, read through an upstream that cannot mutate.

        Raises:
            UpstreamError, CredentialUnavailable: it cannot be told.
        """
        previewer = action.tool.previewer
        if previewer is None:
            raise UpstreamError("dry_run_unsupported", f"{action.tool.name} has no preview.", effect="none", sent=False)
        with self._open(action, permit) as upstream:
            try:
                preview = await previewer(action.args, upstream)
            except (UpstreamError, CredentialUnavailable):
                raise
            except Exception as broken:
                log.error("preview_broken", exc_info=broken, extra={"action": action.id, "tool": action.tool.name})
                raise UpstreamError(
                    "upstream_bad_answer", "The record did not have the shape that the preview needs.", effect="none"
                ) from broken
        return _shown(preview)

    async def look_up(self, action: Action, permit: Permit) -> Found:
        """Ask the upstream whether an unknown write happened (semantics.md I-11). Failures count as ambiguous."""
        if action.tool.looker is None:
            return Found.ambiguous()
        with self._open(action, permit) as upstream:
            try:
                return await action.tool.looker(action.args, upstream)
            except Exception as broken:  # noqa: BLE001 - a lookup that fails, however it fails, tells nothing
                said = {"action": action.id, "tool": action.tool.name, "why": str(type(broken))}
                log.warning("lookup_failed", extra=said)
                return Found.ambiguous()

    async def settle(self, action: Action, fence: int, ended: Ended, *, seconds: float, how: str = "") -> Outcome:
        """Write down how it ended: state, budget, body and outcome line in one transaction.

        A write whose end cannot be written down is unknown to everybody who asks; a read is simply not answered.
        """
        settlement = Settlement(self._keyring, action, ended, keep_ms=self._keep_bodies)
        event = Event.RECONCILE if how else Event.OUTCOME
        told = {**end_facts(action), "how": how or None, "ms": round(seconds * 1000)}

        def record(tx: Transaction) -> bool:
            try_at = tx.now + _FIRST_LOOK_MS if ended.state is State.UNKNOWN and can_be_told(action.tool) else None
            return settlement.record(tx, fence, event, try_at=try_at, **told)

        try:
            recorded = await self._store.write(record)
        except LedgerUnavailable:
            log.error("outcome_not_recorded", extra={"action": action.id, "tool": action.tool.name})
            return replies.unrecorded(action)
        if not recorded:
            log.warning("late_outcome_dropped", extra={"action": action.id, "fence": fence})
        elif ended.state is State.UNKNOWN:
            metrics.became_unknown(action.tool.name, "unanswered")
        if ended.state is not State.FAILED and action.mode is Mode.RUN:
            self._wrote(action)
        # On the ledger already, and so no news to whoever runs the gateway.
        log.debug("settled", extra={"action": action.id, "tool": action.tool.name, "state": str(ended.state)})
        return settlement.outcome

    def _open(self, action: Action, permit: Permit) -> closing[OpenUpstream]:
        """The way out for one permit, until the end of the block: of what a `gather` leaves behind nothing goes out.

        Raises:
            UpstreamError: as `Door.open`.
        """
        tool = action.tool
        return closing(self._door.open(tool, permit, deadline=time.monotonic() + tool.timeout))

    async def _dispatch(self, action: Action, permit: Permit) -> Ended:
        tool = action.tool
        try:
            way_out = self._open(action, permit)
        except UpstreamError as shut:
            return Ended(State.FAILED, shut.code, shut.message, frees_claim=True)
        caller = Conversation(tool, action.client, self._clean, action.resumed) if tool.talks else None
        with way_out as upstream:
            ended = await self._ran(action, upstream, caller)
        if caller is not None and caller.asked is not None:
            said = "The tool has a question for your client before it can answer."
            version = ended.credential_version
            return Ended(State.FAILED, "input_required", said, credential_version=version, asked=caller.asked)
        return replace(ended, lacks=caller.lacks) if caller is not None and ended.code == "cannot_ask" else ended

    async def _ran(self, action: Action, upstream: OpenUpstream, caller: Conversation | None) -> Ended:
        tool = action.tool
        try:
            answer = returned(tool, await tool.run(action.args, upstream, *([caller] if caller is not None else [])))
        except UpstreamError as failed:
            return _failed(failed, upstream, writes=tool.writes)
        except CredentialUnavailable as missing:
            unlent = UpstreamError("credential_unavailable", str(missing), effect="none", sent=False)
            return _failed(unlent, upstream, writes=tool.writes)
        except AnswerRefused as refused:
            return _broken(upstream, refused)
        except Unanswered:
            return _broken(upstream)
        except Exception as broken:
            log.error("connector_broken", exc_info=broken, extra={"action": action.id, "tool": tool.name})
            return _broken(upstream)
        if not upstream.accounted_for:
            log.error("connector_guessed", extra={"action": action.id, "tool": tool.name})
            said = "A write of this action was not answered, and nothing was read since that could tell its end."
            return _unknown(upstream, said)
        return Ended(
            State.SUCCEEDED,
            data=answer.data,
            content=answer.content,
            credential_version=upstream.credential_version,
        )

    async def _preview_outcome(self, action: Action, permit: Permit) -> Ended:
        try:
            shown = await self.show(action, permit)
        except UpstreamError as failed:
            return Ended(State.FAILED, failed.code, failed.message, retry_after_ms=_milliseconds(failed.retry_after))
        except CredentialUnavailable as missing:
            return Ended(State.FAILED, "credential_unavailable", str(missing))
        return Ended(State.SUCCEEDED, data={"changes": shown.changes})


def _failed(failed: UpstreamError, upstream: OpenUpstream, *, writes: bool) -> Ended:
    """An upstream failure; the door has judged it in the light of the whole action (semantics.md I-7)."""
    version = upstream.credential_version
    if failed.effect == "happened":
        if not upstream.acknowledged:
            return _unknown(upstream, f"Another step of this action may have happened or not. {failed.message}")
        return Ended(State.SUCCEEDED, failed.code, failed.message, credential_version=version)
    if writes and failed.effect == "unknown":
        return _unknown(upstream, failed.message)
    if upstream.wrote:
        # Told after a step that did not come to nothing: a `finally` of the connector's may have written.
        said = f"Another step of this action may have happened, and this one failed: {failed.message}"
        return _unknown(upstream, said)
    return Ended(
        State.FAILED,
        failed.code,
        failed.message,
        retry_after_ms=_milliseconds(failed.retry_after),
        credential_version=version,
        frees_claim=failed.code in _COME_TO_NOTHING,
    )


def _broken(upstream: OpenUpstream, refused: AnswerRefused | None = None) -> Ended:
    """Connector code failed, or its answer may not be shown: whether it happened depends on what had been sent."""
    version = upstream.credential_version
    code = refused.code if refused else "upstream_bad_answer"
    message = (
        refused.message if refused else "The system of record answered in a shape that the connector does not know."
    )
    if upstream.wrote and upstream.acknowledged:
        told = f"It was done, but the answer cannot be shown. {message}"
        return Ended(State.SUCCEEDED, code, told, credential_version=version)
    if upstream.wrote:
        return _unknown(upstream, message)
    return Ended(State.FAILED, code, message, credential_version=version)


def _unknown(upstream: OpenUpstream, message: str) -> Ended:
    return Ended(State.UNKNOWN, "outcome_unknown", message, credential_version=upstream.credential_version)


def can_be_told(tool: Tool) -> bool:
    """Whether the gateway can find out by itself how an unknown write ended."""
    return tool.looker is not None or tool.idempotency_header is not None


def _shown(preview: Preview) -> Shown:
    changes = [
        {"field": change.field, "before": change.before, "after": change.after, "certainty": change.certainty}
        for change in preview.changes
    ]
    witness = hashlib.sha256(canonical.dumps(preview.witness)).hexdigest()
    return Shown(changes, witness, hashlib.sha256(canonical.dumps(changes)).hexdigest())


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else max(0, round(seconds * 1000))
