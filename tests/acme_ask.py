"""A connector over Acme whose tools ask their caller. Loaded by path, like `acme_tools`."""

from typing import Annotated, cast

from pydantic import Field

from gateway.connector import (
    Answer,
    Askable,
    Caller,
    Connector,
    Form,
    Input,
    Nothing,
    Output,
    Risk,
    Sample,
    Upstream,
)
from tests.acme import API_KEY

ask = Connector("ask", base_url="https://api.acme.example", credential="kv/acme/billing#api_key")

INVOICE = r"^inv_[0-9]{1,12}$"


class Looked(Input):
    """What for."""

    purpose: Annotated[str, Field(max_length=100)] = "a question"


class Paid(Input):
    """Which invoice to take money off."""

    invoice: Annotated[str, Field(pattern=INVOICE)]
    cents: Annotated[int, Field(gt=0, le=500)] = 5


class Which(Answer):
    """The invoice that is meant."""

    invoice: Annotated[str, Field(pattern=INVOICE, description="Its number.")]


class Found(Output):
    """What was found."""

    id: str = ""
    said: str = ""


@ask.read()
async def invoice(args: Looked, upstream: Upstream, caller: Askable) -> Found:
    """Ask which invoice is meant, and look it up."""
    which = await caller.ask("which", Form("Which invoice?", Which))
    if which is None:
        return Found(said="No answer.")
    return Found.model_validate(await upstream.get(f"/invoices/{which.invoice}"))


@ask.read()
async def twice(args: Nothing, upstream: Upstream, caller: Askable) -> Found:
    """Ask for an invoice, and then the client's model about it."""
    which = await caller.ask("which", Form("Which invoice?", Which))
    thought = await caller.ask("thought", Sample("What of it?"))
    return Found(id=which.invoice if which else "", said=thought or "")


@ask.read()
async def endless(args: Nothing, upstream: Upstream, caller: Askable) -> Found:
    """Ask one thing after the other, for ever."""
    for number in range(1_000):
        await caller.ask(f"question_{number}", Form("And now?", Which))
    return Found()


@ask.read()
async def deaf(args: Nothing, upstream: Upstream, caller: Askable) -> Found:
    """Ask, and go on as if there had been an answer."""
    try:
        await caller.ask("which", Form("Which invoice?", Which))
    except Exception:  # noqa: BLE001 - what a careless author writes
        return Found(id="inv_1001", said="Guessed.")
    return Found(said="Answered.")


@ask.read()
async def leak(args: Nothing, upstream: Upstream, caller: Askable) -> Found:
    """Ask something that nobody must be told."""
    await upstream.get("/invoices/inv_1001")
    await caller.ask("which", Form(f"Is {API_KEY} the key?", Which))
    return Found()


@ask.write(risk=Risk.LOW)
async def before_paying(args: Paid, upstream: Upstream, caller: Caller) -> Found:
    """Ask what a write may not ask, before it acts."""
    await cast("Askable", caller).ask("which", Form("Really?", Which))
    return await _paid(args, upstream)


@ask.write(risk=Risk.LOW)
async def after_paying(args: Paid, upstream: Upstream, caller: Caller) -> Found:
    """Ask what a write may not ask, after it has acted."""
    done = await _paid(args, upstream)
    await cast("Askable", caller).ask("which", Form("Was that right?", Which))
    return done


async def _paid(args: Paid, upstream: Upstream) -> Found:
    body = {"cents": args.cents, "reason": "damaged", "reference": upstream.reference}
    return Found.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", body))
