"""A connector over Acme with more than tools and JSON: content, resources and prompts. Loaded by path."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.connector import Audio, Connector, Document, Image, Input, Message, Nothing, Output, Risk, Upstream

papers = Connector("papers", base_url="https://api.acme.example", credential="kv/acme/billing#api_key")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
HIDDEN = "\u202e\x1b[2J"
"""Turns the line around, and clears the screen."""


class Query(Input):
    """Which invoice."""

    invoice: Annotated[str, Field(pattern=r"^inv_[0-9]{1,12}$", description="The invoice.")]


class Scan(Query):
    """Which invoice, and how many bytes its scan has."""

    size: Annotated[int, Field(ge=0, le=2_000_000)] = 100


class Stamp(Query):
    """Which invoice to take money off."""

    cents: Annotated[int, Field(gt=0, le=500, description="How much, in cents.")] = 5


class Scanned(Output):
    """What is known of it."""

    id: str


class Invoice(Output):
    """What is left of an invoice, and what is said about it."""

    id: str
    balance_cents: int
    note: str = HIDDEN


# -- tools that show something


@papers.read()
async def scan(args: Scan, upstream: Upstream) -> Scanned:
    """Show an invoice as it was scanned, with what the clerk said, and its text."""
    invoice = await upstream.get(f"/invoices/{args.invoice}")
    text = f"Invoice {invoice['id']}{HIDDEN}" + "x" * args.size
    return Scanned.model_validate(invoice).with_content(
        Image.from_base64(PIXEL, "image/png"),
        Audio(b"RIFF", "audio/wav"),
        Document(f"papers://scans/{args.invoice}", text),
    )


@papers.write(risk=Risk.LOW, changes=("papers://invoices/{invoice}", "papers://files/{invoice}"))
async def stamp(args: Stamp, upstream: Upstream) -> Scanned:
    """Refund a little, and show more than anybody may see."""
    body = {"cents": args.cents, "reason": "damaged", "reference": upstream.reference}
    made = await upstream.post(f"/invoices/{args.invoice}/refunds", body)
    return Scanned.model_validate(made).with_content(Document("papers://stamp", "x" * 2_000_000))


# -- resources


class Page(Input):
    """Which page, and whether it is large."""

    number: Annotated[int, Field(ge=1, le=9)]
    large: bool


class Anything(Input):
    """A file's name, which nothing narrows."""

    name: str


@papers.resource("papers://invoices/{invoice}")
async def invoice(args: Query, upstream: Upstream) -> Invoice:
    """One invoice, as a record."""
    return Invoice.model_validate(await upstream.get(f"/invoices/{args.invoice}"))


@papers.resource("papers://folders/{invoice}")
async def folder(args: Query, upstream: Upstream) -> Scanned:
    """One invoice, and what lies in its folder."""
    invoice = await upstream.get(f"/invoices/{args.invoice}")
    letter = Document(f"papers://files/{args.invoice}", "Dear customer,")
    return Scanned.model_validate(invoice).with_content(letter, Document("papers://seal", b"\x00", "image/png"))


@papers.resource("papers://terms", mime_type="text/markdown", title="The terms of trade")
async def terms(args: Nothing, upstream: Upstream) -> str:
    """What every customer has agreed to."""
    return f"# Terms{HIDDEN}\n"


@papers.resource("papers://seal", mime_type="image/png")
async def seal(args: Nothing, upstream: Upstream) -> bytes:
    """The company's seal."""
    return Image.from_base64(PIXEL, "image/png").data


@papers.resource("papers://pages/{number}/{large}")
async def page(args: Page, upstream: Upstream) -> str:
    """One page of nine, which may be too large."""
    return "x" * (2_000_000 if args.large else args.number)


@papers.resource("papers://files/{name}")
async def file(args: Anything, upstream: Upstream) -> str:
    """A file, by its name."""
    return args.name


# -- prompts


class Letter(Query):
    """Which letter about which invoice."""

    tone: Annotated[Literal["formal", "friendly", "frank"], Field(description="How it sounds.")]
    pages: Annotated[int, Field(ge=1, le=3)] = 1


@papers.prompt(title="Write a letter")
async def letter(args: Letter, upstream: Upstream) -> list[Message]:
    """Write a customer a letter about an invoice."""
    invoice = Invoice.model_validate(await upstream.get(f"/invoices/{args.invoice}"))
    return [
        Message.user(Document(f"papers://invoices/{args.invoice}", invoice.model_dump_json(), "application/json")),
        Message.user(f"Write {args.pages} pages about this invoice. Be {args.tone}."),
        Message.assistant("Dear customer,"),
    ]


@letter.complete("invoice")
def numbers(begun: str) -> list[str]:
    """More invoices than one answer may name."""
    return [f"inv_{number}" for number in range(1000, 1150) if f"inv_{number}".startswith(begun)]


@papers.prompt()
async def greeting(args: Nothing, upstream: Upstream) -> str:
    """Say hello."""
    return "Say hello."
