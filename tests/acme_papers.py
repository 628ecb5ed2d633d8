"""A connector over Acme that shows more than JSON. Loaded by path, like `acme_tools`."""

from typing import Annotated

from pydantic import Field

from gateway.connector import Audio, Connector, Document, Image, Input, Output, Risk, Upstream

papers = Connector("papers", base_url="https://api.acme.example", credential="kv/acme/billing#api_key")

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="


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


@papers.read()
async def scan(args: Scan, upstream: Upstream) -> Scanned:
    """Show an invoice as it was scanned, with what the clerk said, and its text."""
    invoice = await upstream.get(f"/invoices/{args.invoice}")
    text = f"Invoice {invoice['id']}\u202e\x1b[2J" + "x" * args.size
    return Scanned.model_validate(invoice).with_content(
        Image.from_base64(PIXEL, "image/png"),
        Audio(b"RIFF", "audio/wav"),
        Document(f"papers://scans/{args.invoice}", text),
    )


@papers.write(risk=Risk.LOW)
async def stamp(args: Stamp, upstream: Upstream) -> Scanned:
    """Refund a little, and show more than anybody may see."""
    body = {"cents": args.cents, "reason": "damaged", "reference": upstream.reference}
    made = await upstream.post(f"/invoices/{args.invoice}/refunds", body)
    return Scanned.model_validate(made).with_content(Document("papers://stamp", "x" * 2_000_000))
