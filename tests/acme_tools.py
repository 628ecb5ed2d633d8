"""Tools over Acme of every kind that the built-in connectors lack: what a write can be when it promises less.

Loaded by path and not by name, so that each gateway of a test process has connectors of its own.
"""

from typing import Annotated

from pydantic import Field

from gateway.connector import Connector, Found, Input, Output, Preview, Risk, Upstream

CREDENTIAL = "kv/acme/billing#api_key"

plain = Connector("plain", base_url="https://api.acme.example", credential=CREDENTIAL)
keyed = Connector(
    "keyed", base_url="https://api.acme.example", credential=CREDENTIAL, idempotency_header="Idempotency-Key"
)
looked = Connector("looked", base_url="https://api.acme.example", credential=CREDENTIAL)


class Query(Input):
    """Which invoice."""

    invoice: Annotated[str, Field(pattern=r"^inv_[0-9]{1,12}$", description="The invoice.")]


class Money(Query):
    """How much of which invoice."""

    cents: Annotated[int, Field(gt=0, le=500_000, description="How much, in cents.")]


class Invoice(Output):
    """What is left of an invoice."""

    id: str
    balance_cents: int


class Refunded(Output):
    """A refund."""

    id: str
    cents: int


@plain.read()
async def invoice(args: Query, upstream: Upstream) -> Invoice:
    """Show one invoice."""
    return Invoice.model_validate(await upstream.get(f"/invoices/{args.invoice}"))


@plain.write(risk=Risk.MEDIUM, timeout=5.0, spend="cents", currency="USD")
async def refund(args: Money, upstream: Upstream) -> Refunded:
    """Refund an upstream that neither deduplicates nor can be asked."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", _body(args, upstream)))


@refund.preview
async def preview_refund(args: Money, upstream: Upstream) -> Preview:
    """The balance before and after."""
    balance = (await upstream.get(f"/invoices/{args.invoice}"))["balance_cents"]
    return Preview.diff({"balance_cents": balance}, {"balance_cents": balance - args.cents})


@plain.write(risk=Risk.LOW)
async def overreach(args: Money, upstream: Upstream) -> Refunded:
    """A write whose preview forgets its manners and tries to write."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", _body(args, upstream)))


@overreach.preview
async def preview_overreach(args: Money, upstream: Upstream) -> Preview:
    """What no preview may do."""
    await upstream.post(f"/invoices/{args.invoice}/refunds", _body(args, upstream))
    return Preview.diff({}, {})


@keyed.write(risk=Risk.MEDIUM, timeout=5.0)
async def pay_back(args: Money, upstream: Upstream) -> Refunded:
    """Refund an upstream that deduplicates by key, and cannot be asked."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", _body(args, upstream)))


@looked.write(risk=Risk.MEDIUM, timeout=2.0, settles_after=2.0)
async def pay_out(args: Money, upstream: Upstream) -> Refunded:
    """Refund an upstream that does not deduplicate, and can be asked."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", _body(args, upstream)))


@pay_out.lookup
async def find_pay_out(args: Money, upstream: Upstream) -> Found:
    """The refund that carries this action's reference."""
    match await upstream.get("/refunds", {"reference": upstream.reference}):
        case {"refunds": []}:
            return Found.not_done()
        case {"refunds": [made]}:
            return Found.done(Refunded.model_validate(made))
        case _:
            return Found.ambiguous()


def _body(args: Money, upstream: Upstream) -> dict[str, object]:
    return {"cents": args.cents, "reason": "damaged", "reference": upstream.reference}
