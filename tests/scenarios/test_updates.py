"""Changes of resources are told to who asked for them and may read them, in either era, and to nobody else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import pytest
from mcp import Client, MCPError

from gateway.identity.api_keys import revoke_key
from gateway.ledger_line import Event
from tests.gate import Gate, gate
from tests.house import house
from tests.place import TENANT, Place, policy
from tests.sdk import sdk_client
from tests.services import eventually

# The SDK reminds that the later era has no such request; the earlier one has no other.
pytestmark = [pytest.mark.anyio, pytest.mark.filterwarnings("ignore::mcp.MCPDeprecationWarning")]

STAMP = {"invoice": "inv_1001"}
INVOICE, FILE = "papers://invoices/inv_1001", "papers://files/inv_1001"
"""What a stamp changes, in the order in which it is told."""
GRANTED = dict.fromkeys(("papers_invoice", "papers_file", "papers_terms", "papers_stamp"), "allow")
NOT_THIS_ONE = {
    "id": "not-this-one",
    "tools": ["papers_invoice"],
    "when": {"args.invoice": {"is": "inv_1001"}},
    "then": "deny",
    "because": "It is under review.",
}


@pytest.fixture
def papers(place: Place) -> Place:
    """The place, with resources that a write changes, and sessions for the era that has them."""
    place.load("acme_papers", "papers", listen={"port": place.port, "sessions": True})
    place.write_policy(policy(GRANTED))
    return place


@pytest.fixture
def running(papers: Place) -> Iterator[Gate]:
    """A gateway process over it."""
    with gate(papers) as started:
        yield started


class Ear:
    """What one client was told, and who it is."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    async def __call__(self, message: Any) -> None:
        if type(message).__name__ == "ResourceUpdatedNotification":
            self.heard.append(str(message.params.uri))

    async def until(self, count: int) -> list[str]:
        """Everything, once so much was told."""
        with anyio.fail_after(20):
            while len(self.heard) < count:
                await anyio.lowlevel.checkpoint()
        return self.heard


@asynccontextmanager
async def connected(gateway: Gate, mode: str, ear: Ear | None = None) -> AsyncIterator[Client]:
    """The SDK's client, as the bot."""
    async with sdk_client(gateway.url, gateway.place.keys["bot"], mode, message_handler=ear) as client:
        yield client


async def test_a_write_is_told_to_who_asked_for_what_it_changes(running: Gate) -> None:
    """Whoever wrote, and in either era; a resource that nobody asked for is not told of, nor a write that failed."""
    ear = Ear()
    async with connected(running, "auto") as modern, connected(running, "legacy", ear) as legacy:
        assert modern.server_capabilities.resources.subscribe is True
        assert legacy.server_capabilities.resources.subscribe is True
        await legacy.subscribe_resource(INVOICE)
        await legacy.subscribe_resource("papers://terms")
        async with modern.listen(resource_subscriptions=[FILE, "papers://terms"]) as events:
            running.call("papers_stamp", {"invoice": "inv_9999"})
            running.call("papers_stamp", STAMP)
            with anyio.fail_after(20):
                event = await anext(aiter(events))
            assert event.uri == FILE
        assert await ear.until(1) == [INVOICE]
        await legacy.unsubscribe_resource(INVOICE)
        await legacy.subscribe_resource(FILE)
        running.call("papers_stamp", STAMP | {"cents": 6})
        assert await ear.until(2) == [INVOICE, FILE]


async def test_who_may_not_read_a_resource_is_not_told_of_it(papers: Place) -> None:
    """T-5: asking is refused like reading, hidden and absent alike, and is recorded; a stream leaves it out."""
    granted = {name: "allow" for name in GRANTED if name != "papers_terms"}
    papers.write_policy(policy(granted, rules=[NOT_THIS_ONE]))
    with gate(papers) as gateway:
        async with connected(gateway, "auto") as modern, connected(gateway, "legacy") as legacy:
            for uri in ("papers://terms", "papers://nothing"):
                with pytest.raises(MCPError, match="Unknown resource") as unknown:
                    await legacy.subscribe_resource(uri)
                assert unknown.value.error.code == -32002
            with pytest.raises(MCPError, match="under review"):
                await legacy.subscribe_resource(INVOICE)
            wanted = [INVOICE, "papers://terms", "papers://nothing", FILE]
            async with modern.listen(resource_subscriptions=wanted) as events:
                assert events.honored.resource_subscriptions == [FILE]
    refused = [(line.get("tool"), line["code"]) for line in papers.lines(event=Event.REFUSED)]
    once = [("papers_terms", "unknown_tool"), (None, "unknown_tool"), ("papers_invoice", "not_permitted")]
    assert sorted(refused, key=str) == sorted(once * 2, key=str)


async def test_what_may_no_longer_be_read_is_no_longer_told_of(running: Gate, papers: Place) -> None:
    """T-12: policy and switches are asked again before each telling, and not only when it was asked for."""
    ear = Ear()
    async with connected(running, "auto") as modern, connected(running, "legacy", ear) as legacy:
        for uri in (INVOICE, FILE):
            await legacy.subscribe_resource(uri)
        async with modern.listen(resource_subscriptions=[INVOICE, FILE]) as events:
            papers.write_policy(policy(GRANTED, rules=[NOT_THIS_ONE]))
            read = {"uri": INVOICE}
            eventually(lambda: "error" in running.ask("resources/read", read, name=INVOICE), "the new policy")
            running.call("papers_stamp", STAMP)
            with anyio.fail_after(20):
                event = await anext(aiter(events))
            assert event.uri == FILE
            assert await ear.until(1) == [FILE]
            papers.write_policy(policy(GRANTED))
            eventually(lambda: "result" in running.ask("resources/read", read, name=INVOICE), "the old policy")
            papers.transact(lambda tx: tx.switches.stop(TENANT, "tool", "papers_invoice", by="olga", because="a test"))
            running.call("papers_stamp", STAMP | {"cents": 6})
            assert await ear.until(2) == [FILE, FILE]


async def test_a_credential_that_was_revoked_hears_nothing(papers: Place) -> None:
    """A-3, T-12: a stream may be open for hours, and the key that opened it is looked at before each telling."""
    async with house(papers) as gateway:
        bot = await gateway.app.api_keys.authenticate(papers.keys["bot"])
        assert bot is not None
        assert await gateway.app.may_hear(bot, INVOICE)
        assert not await gateway.app.may_hear(bot, "papers://invoices/wrong")
        assert papers.transact(lambda tx: revoke_key(tx, TENANT, bot.key_id, by="olga"))
        assert not await gateway.app.may_hear(bot, INVOICE)
