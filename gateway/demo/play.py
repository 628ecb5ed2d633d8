"""`holdgate demo --play`: an agent plays the story over MCP, and every claim of the story is checked as it is told."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any, Final

from mcp import MCPError
from rich.console import Console

from gateway.demo.stage import Agent, Envelope, agent, approve, effects, ledger_head, ledger_lines, stage, verification
from gateway.demo.story import Story, StoryDiffers, money
from gateway.demo.world import APPROVER, OWNER, World
from gateway.errors import HoldgateError
from gateway.ledger.verify import Integrity

_PATIENCE: Final = 20
"""Seconds the agent waits for what a human decided to be carried out."""


def play(folder: Path, who: str) -> int:
    """Play in the demo that runs in `folder`; when none does, or its money has moved, in one that is gone afterwards.

    Args:
        who: `script` needs no model; `claude` lets one play, with ANTHROPIC_API_KEY.

    Returns:
        The exit code: 0, or 1 when anything differed from the story.

    Raises:
        StartupError: a demo could not be started, or `claude` lacks its package or its key.
        HoldgateError: somebody refunded the story's invoices while it was told.
    """
    console = Console(highlight=False)
    if who == "claude":
        from gateway.demo.claude import model_from_environment, play_with

        model = model_from_environment()
        with stage(folder) as world:
            return asyncio.run(play_with(model, world, console))
    with stage(folder, fresh=True) as world:
        try:
            asyncio.run(_Script(world, Story(console)).play())
        except StoryDiffers as different:
            console.print(f"\n✗ The story differs here. It should be so: {different}", style="bold red", markup=False)
            return 1
    console.print("\nThe story played to its end.", style="bold green")
    return 0


class _Script:
    """An agent without a model: it knows what it wants, and reads everything else."""

    def __init__(self, world: World, story: Story) -> None:
        self._world = world
        self._story = story

    async def play(self) -> None:
        start = ledger_head(self._world)
        async with agent(self._world) as bot:
            try:
                await self._small_refund(bot)
                await self._large_refund(bot)
                await self._not_permitted(bot)
                await self._injected(bot)
            except MCPError as error:
                raise StoryDiffers(f"the agent may call its tools, and is not told: {error.error.message}") from error
            self._tell_from_the_ledger(bot, start)

    async def _small_refund(self, bot: Agent) -> None:
        story = self._story
        story.act("A customer writes", why="The agent reads the ticket, the order and the invoice.")
        ticket, order, invoice = await self._read_up(bot, "tic_2001")
        text = ticket["messages"][0]["text"]
        missing = next(item for item in order["items"] if item["title"].split(",")[0].lower() in text.lower())
        cents = missing["unit_cents"] * missing["quantity"]
        refund = {"invoice": invoice["data"]["id"], "cents": cents, "cause": "not_received"}
        _require_balance(invoice, cents)

        story.act("A look before the leap", why="A dry run takes the same steps, with a client that can only read.")
        effects_before = self._refunds(refund["invoice"])
        preview = await story.call(
            bot, "billing_refund", {**refund, "dry_run": True, **_because(invoice)}, ends="previewed"
        )
        story.check(bool(preview.get("diff")), "It shows what would change.")
        story.check(self._refunds(refund["invoice"]) == effects_before, "Acme's journal saw no change asked for.")

        story.act("A small refund", why="Within what policy lets an agent do alone, with a reason and fresh evidence.")
        call = {**refund, **_because(invoice)}
        first = await story.call(bot, "billing_refund", call, ends="done")
        story.check(first["data"]["cents"] == cents, f"{money(cents)} went back.")

        story.act("The same call again", why="As after a lost answer, or by a model that forgot.")
        again = await story.call(bot, "billing_refund", call, ends="replayed")
        story.check(again["data"] == first["data"], "It got the first one's answer.")
        made = self._refunds(refund["invoice"])[len(effects_before) :]
        story.check([entry["body"]["cents"] for entry in made] == [cents], f"Acme was asked {len(made)} time.")

    async def _large_refund(self, bot: Agent) -> None:
        story, world = self._story, self._world
        story.act("A large refund", why="Too large for an agent alone: it is held until a human agrees.")
        _, order, invoice = await self._read_up(bot, "tic_2002")
        refund = {"invoice": invoice["data"]["id"], "cents": order["total_cents"], "cause": "duplicate"}
        _require_balance(invoice, refund["cents"])
        effects_before = self._refunds(refund["invoice"])
        held = await story.call(bot, "billing_refund", {**refund, **_because(invoice)}, ends="held")
        story.say(f"{money(refund['cents'])} waits for a human until {held['expires_at']}.")
        story.check(self._refunds(refund["invoice"]) == effects_before, "Acme has not heard of it.")

        story.act("Two people at the command line", why=f"{OWNER} answers for the agent; {APPROVER} is in finance.")
        no = await approve(world, held["action_id"], OWNER)
        story.say(f"{OWNER}$ {no.command}\n{no.text.splitlines()[-1]}")
        story.check(no.code != 0, f"{OWNER} cannot approve her own agent's call.")
        yes = await approve(world, held["action_id"], APPROVER)
        story.say(f"{APPROVER}$ {yes.command}\n{yes.text}")
        story.check(yes.code == 0, f"{APPROVER} can.")

        story.act("The gateway carries it out", why="The agent asks how its action stands; it does not call again.")
        asked = {"action_id": held["action_id"], "wait_seconds": _PATIENCE}
        done = await story.call(bot, "get_action", asked, ends="done")
        story.check(done["data"]["cents"] == refund["cents"], f"{money(refund['cents'])} went back.")
        made = self._refunds(refund["invoice"])[len(effects_before) :]
        cents = [entry["body"]["cents"] for entry in made if entry["committed"]]
        story.check(cents == [refund["cents"]], f"Acme was asked {len(made)} time, and did it once.")

    async def _not_permitted(self, bot: Agent) -> None:
        story = self._story
        story.act("Not within its rights", why="No policy lets an agent change a customer's name.")
        ticket = (await self._read(bot, "tickets_get_ticket", {"ticket": "tic_2001"}))["data"]
        asked_before = effects(self._world, f"/customers/{ticket['customer']}")
        rename = {"customer": ticket["customer"], "name": "Ada Byron", "reason": "She says she has married."}
        refused = await story.call(bot, "crm_update_customer", rename, ends="refused")
        story.check(refused["code"] == "not_permitted", "Policy says no, and which rule said it.")
        asked = effects(self._world, f"/customers/{ticket['customer']}")
        story.check(asked == asked_before, "Acme has not heard of it.")

    async def _injected(self, bot: Agent) -> None:
        story = self._story
        story.act("A ticket with orders in it", why="Suppose that the model believes every word.")
        ticket, _, invoice = await self._read_up(bot, "tic_2003")
        text = ticket["messages"][0]["text"]
        wanted = re.search(r"(\d+)\.(\d\d) USD", text)
        if wanted is None:
            raise StoryDiffers("The ticket names a sum.")
        refund = {"invoice": invoice["data"]["id"], "cents": int(wanted[1] + wanted[2]), "cause": "damaged"}
        effects_before = self._refunds(refund["invoice"])
        refused = await story.call(bot, "billing_refund", {**refund, **_because(invoice)}, ends="refused")
        story.check(refused["code"] == "not_permitted", "Policy stands outside the model; nobody can talk to it.")
        story.check(self._refunds(refund["invoice"]) == effects_before, "Acme has not heard of it.")

    def _tell_from_the_ledger(self, bot: Agent, start: int) -> None:
        story = self._story
        story.act(
            "The whole story, from the ledger", why="An intent before each effect, an outcome after; refusals too."
        )
        told = ledger_lines(self._world, start, bot.actions)
        story.ledger(told)
        missing = set(bot.actions) - {line.get("action") for line in told}
        story.check(not missing, f"{len(bot.actions)} actions, {len(told)} lines: none is missing.")
        report = verification(self._world)
        story.check(
            report.verdict is Integrity.OK, f"The chain of {report.lines} lines is whole: {report.verdict.name}."
        )

    async def _read_up(self, bot: Agent, ticket_id: str) -> tuple[dict[str, Any], dict[str, Any], Envelope]:
        """A ticket, its order, and the answer that shows the invoice: the evidence a refund has to cite."""
        ticket = await self._read(bot, "tickets_get_ticket", {"ticket": ticket_id})
        order = await self._read(bot, "billing_lookup_order", {"order": ticket["data"]["order"]})
        invoice = await self._read(bot, "billing_lookup_invoice", {"invoice": order["data"]["invoice"]})
        return ticket["data"], order["data"], invoice

    async def _read(self, bot: Agent, tool: str, arguments: dict[str, str]) -> Envelope:
        return await self._story.call(bot, tool, arguments, ends="done")

    def _refunds(self, invoice: str) -> list[dict[str, Any]]:
        return effects(self._world, f"/invoices/{invoice}/refunds")


def _require_balance(invoice: Envelope, cents: int) -> None:
    if invoice["data"]["balance_cents"] < cents:
        raise HoldgateError(
            f"Somebody else has refunded {invoice['data']['id']} just now. "
            "Play again: the play then has a world of its own."
        )


def _because(invoice: Envelope) -> dict[str, Any]:
    return {"reason": "The customer asked in a ticket; I checked the invoice.", "evidence": [invoice["action_id"]]}
