"""A small shop behind the real catalogue and the real wire: what the tests of the MCP face call.

`python -m tests.shop` serves it over stdio.
"""

from __future__ import annotations

import asyncio
import datetime
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated, Literal

from pydantic import Field

from gateway.connector import Connector, Input, Output, Preview, Risk, Upstream
from gateway.errors import LedgerUnavailable, Refusal
from gateway.model import Call, Kind, Principal, Surface, new_id
from gateway.outcome import Outcome, Retry, Status
from gateway.tools import own_tools
from gateway.tools.catalogue import Catalogue, UnknownTool
from gateway.wire.mcp_server import serve_stdio

BOT = Principal("acme", "bot", Kind.AGENT)
CLERK = Principal("acme", "clerk", Kind.AGENT)
TOKENS = {"token-of-the-bot": BOT, "token-of-the-clerk": CLERK}

OUTCOMES: dict[str, Outcome] = {
    "done": Outcome(Status.DONE, "act_" + "1" * 32, data={"refund": "re_1", "note": None}),
    "previewed": Outcome(
        Status.PREVIEWED,
        "act_" + "2" * 32,
        diff=[{"field": "balance", "before": None, "after": 5, "certainty": "predicted"}],
    ),
    "held": Outcome(
        Status.HELD,
        "act_" + "3" * 32,
        code="approval_needed",
        message="Finance has to approve.",
        expires_at="2026-11-21T10:00:00Z",
        rules=("support/shop_refund/approve_over.cents",),
    ),
    "running": Outcome(Status.RUNNING, "act_" + "8" * 32, next="Call get_action."),
    "replayed": Outcome(
        Status.REPLAYED, "act_" + "4" * 32, data={"refund": "re_1"}, original_status="done", key_source="derived"
    ),
    "refused": Outcome(Status.REFUSED, "act_" + "5" * 32, code="not_permitted", message="No.", retry=Retry.NO),
    "failed": Outcome(
        Status.FAILED, "act_" + "6" * 32, code="upstream_busy", retry=Retry.LATER, retry_after_ms=1500, message="Busy."
    ),
    "unknown": Outcome(Status.UNKNOWN, "act_" + "7" * 32, code="outcome_unknown", retry=Retry.NO, next="Ask a human."),
}
"""One outcome of every status; an invoice of that name brings it about."""

shop = Connector("shop", base_url="https://shop.example")


class Refund(Input):
    """Give money back."""

    invoice: Annotated[str, Field(min_length=1, max_length=64, description="The paid invoice.")]
    cents: Annotated[int, Field(gt=0, le=500_000, description="How much.")] = 100
    on: datetime.date | None = None
    why: Literal["duplicate", "fraud"] = "duplicate"


class Refunded(Output):
    """What the shop says of a refund."""

    refund: str
    note: str | None = None


class Lookup(Input):
    """Which invoice."""

    invoice: str


@shop.write(risk=Risk.HIGH)
async def refund(args: Refund, upstream: Upstream) -> Refunded:
    """Refund one invoice."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds"))


@refund.preview
async def preview_refund(args: Refund, upstream: Upstream) -> Preview:
    """Show what would change."""
    return Preview.diff(await upstream.get(f"/invoices/{args.invoice}"), {})


@shop.write(risk=Risk.LOW)
async def note(args: Lookup, upstream: Upstream) -> Refunded:
    """Leave a note on an invoice."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/notes"))


@shop.read()
async def lookup(args: Lookup, upstream: Upstream) -> Refunded:
    """Look up one invoice."""
    return Refunded.model_validate(await upstream.get(f"/invoices/{args.invoice}"))


@shop.resource("shop://terms/{invoice}")
async def terms(args: Lookup, upstream: Upstream) -> str:
    """What was agreed on for one invoice."""
    return (await upstream.get(f"/invoices/{args.invoice}/terms"))["text"]


@shop.prompt()
async def reminder(args: Lookup, upstream: Upstream) -> str:
    """Remind a customer of an invoice."""
    return f"Write a reminder about {args.invoice}."


class Shop:
    """A gateway whose answers the tests choose, and that remembers what reached it."""

    def __init__(self) -> None:
        self.catalogue = Catalogue([shop])
        self.calls: list[Call] = []
        self.delivered_ids: list[str] = []
        self.listings = 0
        self.answer = OUTCOMES["refused"]
        """To whoever reads the resource, or gets the prompt."""
        self.arrived = threading.Event()
        """Set when a slow call has begun."""
        self.cancelled = threading.Event()
        self.proceed = threading.Event()
        self.store_is_up = True
        self.looks = 0
        """How often the store was asked whether it is up."""
        self.talking: set[str] = set()
        """Tools that may say something before their answer."""
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._updated: list[Callable[[str], Awaitable[None]]] = []

    async def handle(self, call: Call) -> Outcome:
        self.calls.append(call)
        if call.tool in own_tools.INPUTS:
            return Outcome(Status.DONE, new_id("act"), data={"actions": []})
        tool = self.catalogue.find(call)
        if tool is None or tool.name not in self._names(call.principal):
            raise UnknownTool(call.tool, call.surface)
        try:
            resolved = self.catalogue.resolve(call)
        except Refusal as refusal:
            return Outcome(Status.REFUSED, new_id("act"), code=refusal.code, message=refusal.message)
        if call.surface is not Surface.TOOL:
            return self.answer
        invoice = str(resolved.arguments["invoice"])
        if invoice == "broken":
            raise RuntimeError("the password is hunter2")
        if invoice == "announce":
            for callback in self._callbacks:
                await callback()
            for told in self._updated:
                await told("shop://terms/inv_1")
        if invoice == "slow":
            await self._wait()
        if invoice == "counted" and call.client is not None:
            call.client.progress(7.0, 9.0, "Seven of nine.")
            await self._wait()
        return OUTCOMES.get(invoice, OUTCOMES["done"])

    async def _wait(self) -> None:
        self.arrived.set()
        try:
            while not await asyncio.to_thread(self.proceed.wait, 0.02):
                pass
        except asyncio.CancelledError:
            self.cancelled.set()
            raise

    def knows(self, tool: str) -> bool:
        return tool in self.catalogue.tools or tool in own_tools.INPUTS

    def tells_of_writes(self, tool: str) -> bool:
        known = self.catalogue.tools.get(tool)
        return known is None or known.writes

    def talks(self, tool: str) -> bool:
        return tool in self.talking

    def offered(self, principal: Principal) -> Sequence[object]:
        names = self._names(principal, Surface.TOOL)
        return [*own_tools.PUBLISHED.values(), *(self.catalogue.published(name) for name in names)]

    def _names(self, principal: Principal, *surfaces: Surface) -> list[str]:
        tools = [tool for tool in self.catalogue.tools.values() if tool.surface in (surfaces or Surface)]
        return [tool.name for tool in tools if principal is BOT or tool.name == "shop_lookup"]

    def surfaces(self) -> frozenset[Surface]:
        return frozenset(Surface)

    def offers(self, principal: Principal, surface: Surface) -> Sequence[object]:
        return [self.catalogue.offer(name) for name in self._names(principal, surface)]

    def complete(self, principal: Principal, surface: Surface, name: str, argument: str, begun: str) -> list[str]:
        raise RuntimeError("the password is hunter2")

    def catalogue_version(self, principal: Principal) -> str:
        self.listings += 1
        return principal.id

    async def delivered(self, action_ids: Sequence[str]) -> None:
        self.delivered_ids += action_ids
        print("delivered", *action_ids, file=sys.stderr, flush=True)

    def subscribe_list_changed(self, callback: Callable[[], Awaitable[None]]) -> None:
        self._callbacks.append(callback)

    async def watch(self, call: Call) -> Outcome | None:
        tool = self.catalogue.find(call)
        if tool is None or tool.name not in self._names(call.principal):
            raise UnknownTool(call.tool, call.surface)
        return None

    async def may_hear(self, principal: Principal, uri: str) -> bool:
        return True

    def subscribe_updated(self, callback: Callable[[str], Awaitable[None]]) -> None:
        self._updated.append(callback)

    async def authenticate(self, token: str) -> Principal | None:
        if not self.store_is_up:
            raise LedgerUnavailable("The store is down.")
        return TOKENS.get(token)

    async def ready(self) -> bool:
        self.looks += 1
        return self.store_is_up


if __name__ == "__main__":
    asyncio.run(serve_stdio(Shop(), BOT))
