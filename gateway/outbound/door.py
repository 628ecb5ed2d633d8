"""The only door out: checks a request, signs a copy of it, sends it once and says what became of it.

semantics.md C-3..C-8 (credential and address), D-3 (a preview cannot write), I-7 (what an answer means), I-10 (the
upstream's key), R-6 (retries).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

import httpx

from gateway.connector import JSON, Connector, Tool
from gateway.errors import CredentialUnavailable, LedgerUnavailable, Refusal, UpstreamError
from gateway.model import Mode
from gateway.outbound.answers import (
    Answer,
    after_a_write,
    blocked,
    not_sent,
    repeatable,
    seconds_of,
    unanswered,
    value_of,
)
from gateway.outbound.egress import EgressRefused
from gateway.outbound.exchange import NOT_SENT, BodyRefused, Response
from gateway.outbound.lane import EngineFor, Lane, engine_for
from gateway.outbound.lending import Lender, lent
from gateway.outbound.pacing import repeated
from gateway.outbound.resolver import AddressRefused
from gateway.outbound.signing import learn, signed
from gateway.outbound.template import Template, template_of
from gateway.outbound.upstream import Asked, GatedUpstream, Wanted, Writes, through
from gateway.permit import Permit
from gateway.redact import Redactor
from gateway.telemetry import metrics
from gateway.telemetry.requests import asking
from vault.secret import Secret

log = logging.getLogger("holdgate.outbound")

Stopped: TypeAlias = Callable[[Permit, str], Awaitable[Refusal | None]]
"""Why the action of a permit may write no more, or None; given the connector's name. See `stops.SecondLook`."""

_FRESH: Final = 0.05
"""Seconds from the permit, or from the last look, in which a write goes out without another look."""


class Door:
    """Opens an upstream to an action that has a permit, and to no other.

    Belongs to one event loop. Keeps one engine, one pace and one retry budget per connector.

    Args:
        broker: lends the credential, at the last moment.
        redactor: learns every credential before it is used, and cleans every answer.
        stopped: asked before a write that had to wait.
        engine: makes what carries a connector's requests; `AiohttpEngine` by default.
    """

    def __init__(
        self, broker: Lender, redactor: Redactor, *, stopped: Stopped, engine: EngineFor | None = None
    ) -> None:
        self._broker = broker
        self._redactor = redactor
        self._stopped = stopped
        self._engine = engine or engine_for
        self._lanes: dict[Connector, Lane] = {}

    def open(self, tool: Tool, permit: Permit, *, deadline: float) -> GatedUpstream:
        """The upstream that `tool` may use for the action of `permit`.

        Args:
            deadline: `time.monotonic()` seconds, which is the event loop's clock; nothing is sent, waited for or
                tried again after it.

        Raises:
            UpstreamError: `egress_blocked`; the permit is not ours, or is another tool's.
            StartupError: the connector's base URL or a header name is not allowed; see `egress.base_of`.
        """
        if not permit.vouched():
            raise blocked("The permit was not minted by this gateway.")
        if permit.tool != tool.name:
            raise blocked(f"The permit is for {permit.tool}, not for {tool.name}.")
        lane = self._lanes.get(tool.connector)
        if lane is None:
            lane = self._lanes[tool.connector] = Lane(tool.connector, self._engine(tool.connector))
        writes = Writes(again=permit.again)
        passage = _Passage(self._broker, self._redactor, self._stopped, lane, tool, permit, deadline, writes)
        return GatedUpstream(through(passage.ask), permit.upstream_key, writes)

    async def close(self) -> None:
        """Close every connection."""
        for lane in self._lanes.values():
            await lane.engine.aclose()
        self._lanes.clear()


class _Passage:
    """One action on its way through the door."""

    def __init__(
        self,
        broker: Lender,
        redactor: Redactor,
        stopped: Stopped,
        lane: Lane,
        tool: Tool,
        permit: Permit,
        deadline: float,
        writes: Writes,
    ) -> None:
        self._broker = broker
        self._redactor = redactor
        self._stopped = stopped
        self._looked = permit.minted_at
        self._lane = lane
        self._tool = tool
        self._connector = tool.connector
        self._permit = permit
        self._deadline = deadline
        self._writes = writes
        self._reads_only = permit.mode is Mode.PREVIEW or not tool.writes

    async def ask(self, asked: Asked) -> JSON:
        """Check, send, and say what it means; for the whole action, and not only for this request."""
        number = None if asked.method == "GET" else self._writes.number()
        try:
            if self._reads_only and number is not None:
                raise blocked(f"{asked.method} is refused: this call may only read.")
            template = self._template(asked, number)
            return await repeated(
                partial(self._attempt, template, number),
                budget=self._lane.pace.budget,
                repeatable=repeatable(keyed=template.mutates and self._tool.idempotency_header is not None),
                deadline=self._deadline,
            )
        except (UpstreamError, CredentialUnavailable) as failure:
            if self._writes.wrote and (isinstance(failure, CredentialUnavailable) or failure.effect == "none"):
                raise after_a_write(failure) from None
            raise
        finally:
            # However it ends: a connector that cancels its own write, by a time limit, has its doubt, too.
            if number is not None:
                self._writes.ended(number)

    def _template(self, asked: Asked, number: int | None) -> Template:
        key = None
        if number is not None and self._tool.idempotency_header is not None:
            # A second write of the same action is another write, so it cannot have the first one's key.
            name = self._permit.upstream_key if number == 1 else f"{self._permit.upstream_key}-{number}"
            key = (self._tool.idempotency_header, name)
        try:
            return template_of(asked, key=key, more=self._lane.headers)
        except EgressRefused as refused:
            raise blocked(f"The request was not sent: {refused}") from None

    async def _attempt(self, template: Template, number: int | None) -> JSON:
        """Send once, and judge the answer. Raised from here, where nothing signed is in any frame."""
        doubts, doubtful = self._writes.doubts, number is not None and self._writes.doubtful(number)
        await self._lane.pace.enter(self._deadline)
        try:
            self._refuse_when_over()
            secret = await self._lease()
            self._refuse_when_over()
            with asking(template.method, self._connector.base_url) as seen:
                answer = await self._exchange(template, secret, number)
                seen.ended(answer.status, answer.code if isinstance(answer, UpstreamError) else None)
        finally:
            self._lane.pace.leave()
        try:
            if isinstance(answer, UpstreamError):
                raise answer
            value = value_of(
                answer,
                template.wanted,
                mutates=template.mutates,
                definite_errors=self._connector.definite_errors,
                redactor=self._redactor,
            )
        except UpstreamError as failure:
            metrics.upstream_failed(self._connector.name, failure.code)
            if number is not None and failure.effect == "happened":
                self._writes.happened(number)
            elif number is not None and failure.effect == "none" and not doubtful:
                self._writes.came_to_nothing(number)
            raise
        if number is not None:
            self._writes.happened(number)
        elif doubts:
            self._writes.looked(doubts)
        return value

    def _refuse_when_over(self) -> None:
        if self._writes.over:
            raise blocked("The action has ended, and sends nothing any more.")

    async def _look_again(self) -> None:
        """A write that waited, for its turn, the credential or a connection, is stopped by what was stopped meanwhile.

        Raises:
            UpstreamError: not sent, and not to be; or nobody can tell (semantics.md T-10).
        """
        if (now := asyncio.get_running_loop().time()) - self._looked < _FRESH:
            return
        try:
            async with asyncio.timeout_at(self._deadline):
                refused = await self._stopped(self._permit, self._connector.name)
        except LedgerUnavailable as down:
            raise not_sent(f"Whether it may still be sent cannot be told. {down}") from None
        except TimeoutError:
            raise not_sent("Whether it may still be sent could not be told in time.") from None
        if refused is not None:
            raise UpstreamError(refused.code, refused.message, effect="none", sent=False)
        self._looked = now

    async def _lease(self) -> Secret | None:
        lease = await lent(self._broker, self._permit, self._connector.name, self._deadline)
        if lease is None:
            return None
        learn(self._redactor, self._connector.auth, self._permit.credential, lease.secret)
        self._writes.credential_version = lease.version
        return lease.secret

    async def _exchange(self, template: Template, secret: Secret | None, number: int | None) -> Answer | UpstreamError:
        """One request, one answer. Returns failures, so that no exception carries frames that hold the signature.

        Raises:
            UpstreamError: it was refused with the connection at hand, and before anything was signed.
        """
        engine = self._lane.engine
        try:
            with await engine.connect(deadline=self._deadline) as exchange:
                if number is not None:
                    await self._look_again()
                self._refuse_when_over()
                if asyncio.get_running_loop().time() >= self._deadline:
                    return not_sent("There was no time left to send it.")
                if number is not None:
                    self._writes.sending(number)
                response = await engine.send(
                    exchange,
                    template.method,
                    template.path,
                    signed(template, self._connector.auth, secret),
                    template.body,
                    deadline=self._deadline,
                )
        except AddressRefused as refused:
            return blocked(f"The gateway does not connect to this host. {refused}")
        except NOT_SENT as failure:
            return not_sent(f"The system of record cannot be reached. {failure}")
        except httpx.TransportError as failure:
            return unanswered(f"The system of record did not answer. {failure}", mutates=template.mutates)
        return self._received(response, template.wanted)

    def _received(self, response: Response, wanted: Wanted) -> Answer:
        status, retry_after = response.status, seconds_of(response.retry_after)
        if status == 401:
            log.error("credential_rejected", extra={"tool": self._tool.name, "credential": self._permit.credential})
            if self._permit.credential is not None:
                self._broker.invalidate(self._permit.credential)
        if not isinstance(response.body, bytes):
            broke_off = not isinstance(response.body, BodyRefused)
            return Answer(status, retry_after, None, flaw=str(response.body), broke_off=broke_off)
        clean, echoed = self._redactor.scrub_bytes(response.body)
        etag = link = ""
        if wanted is Wanted.FETCHED:
            etag, link = self._redactor.scrub(response.etag), self._redactor.scrub(response.link)
            echoed = echoed or (etag, link) != (response.etag, response.link)
        if echoed:
            said = {"connector": self._connector.name, "tool": self._tool.name, "action": self._permit.action_id}
            log.warning("upstream_echoed_credential", extra=said)
        return Answer(status, retry_after, clean, etag=etag, link=link)
