"""Billing: find what a customer bought and paid, and give their money back, once."""

from typing import Annotated, Literal

from pydantic import Field

from gateway.connector import Connector, Found, Input, Output, Preview, Risk, Upstream

billing = Connector(
    "billing",
    base_url="https://api.acme.example",
    credential="kv/acme/billing#api_key",
    idempotency_header="Idempotency-Key",
)

OrderId = Annotated[str, Field(pattern=r"^ord_[0-9]{1,12}$", description="The order's id, such as ord_1001.")]
InvoiceId = Annotated[str, Field(pattern=r"^inv_[0-9]{1,12}$", description="The invoice's id, such as inv_1001.")]
Currency = Annotated[str, Field(description="ISO 4217 code of all amounts, such as USD.")]


class OrderQuery(Input):
    order: OrderId


class Item(Output):
    sku: Annotated[str, Field(description="Article number.")]
    title: Annotated[str, Field(description="What it is.")]
    quantity: Annotated[int, Field(description="How many were bought.")]
    unit_cents: Annotated[int, Field(description="Price of one, in cents.")]


class Order(Output):
    id: Annotated[str, Field(description="The order's id.")]
    customer: Annotated[str, Field(description="Id of the customer who ordered.")]
    invoice: Annotated[str, Field(description="Id of the invoice for this order.")]
    status: Annotated[str, Field(description="Where it stands: packing, in_transit, delivered or returned.")]
    items: Annotated[list[Item], Field(description="What was bought.")]
    total_cents: Annotated[int, Field(description="Sum of all items, in cents.")]
    currency: Currency
    placed_at: Annotated[str, Field(description="When it was placed, RFC 3339.")]


@billing.read(title="Look up an order")
async def lookup_order(args: OrderQuery, upstream: Upstream) -> Order:
    """Show one order: who bought what, what it cost, and its invoice.

    Call this when the user names an order, or to find the invoice of an order before you refund it.
    """
    return Order.model_validate(await upstream.get(f"/orders/{args.order}"))


class InvoiceQuery(Input):
    invoice: InvoiceId


class Invoice(Output):
    id: Annotated[str, Field(description="The invoice's id.")]
    order: Annotated[str, Field(description="Id of the order it is for.")]
    customer: Annotated[str, Field(description="Id of the customer who pays it.")]
    status: Annotated[str, Field(description="open (not paid), paid, part_refunded or refunded.")]
    total_cents: Annotated[int, Field(description="What was charged, in cents.")]
    refunded_cents: Annotated[int, Field(description="What has been given back so far, in cents.")]
    balance_cents: Annotated[int, Field(description="What can still be given back, in cents.")]
    currency: Currency


@billing.read(title="Look up an invoice")
async def lookup_invoice(args: InvoiceQuery, upstream: Upstream) -> Invoice:
    """Show one invoice: what was charged, what was refunded, and what can still be refunded.

    Always call this right before billing_refund, and cite its action_id there as evidence.
    """
    return Invoice.model_validate(await upstream.get(f"/invoices/{args.invoice}"))


class Refund(Input):
    invoice: InvoiceId
    cents: Annotated[int, Field(gt=0, le=500_000, description="Amount to return, in cents: 1 to 500000.")]
    cause: Annotated[
        Literal["damaged", "duplicate", "goodwill", "not_received"],
        Field(description="Why the money goes back: damaged goods, a duplicate charge, goodwill, or never received."),
    ]


class Refunded(Output):
    id: Annotated[str, Field(description="The refund's id.")]
    invoice: Annotated[str, Field(description="Id of the invoice it belongs to.")]
    cents: Annotated[int, Field(description="What goes back, in cents.")]
    status: Annotated[Literal["pending", "paid"], Field(description="Whether the bank has paid it out yet.")]


@billing.write(title="Refund an invoice", risk=Risk.HIGH, spend="cents", currency="USD")
async def refund(args: Refund, upstream: Upstream) -> Refunded:
    """Refund part or all of one paid invoice to the original payment method.

    Call this only when the customer is owed the money and billing_lookup_invoice shows enough balance. Money moves:
    never call it a second time for the same claim.
    """
    body = {"cents": args.cents, "reason": args.cause, "reference": upstream.reference}
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", body))


@refund.preview
async def preview_refund(args: Refund, upstream: Upstream) -> Preview:
    """The invoice before and after. More than its balance would be refused by billing, and so changes nothing."""
    invoice = await upstream.get(f"/invoices/{args.invoice}")
    before = {name: invoice[name] for name in ("status", "refunded_cents", "balance_cents")}
    if args.cents > before["balance_cents"]:
        return Preview.diff(before, before)
    balance = before["balance_cents"] - args.cents
    after = {
        "status": "part_refunded" if balance else "refunded",
        "refunded_cents": before["refunded_cents"] + args.cents,
        "balance_cents": balance,
    }
    return Preview.diff(before, after)


@refund.lookup
async def find_refund(args: Refund, upstream: Upstream) -> Found:
    """The refund that carries this action's reference, whatever became of the answer."""
    match await upstream.get("/refunds", {"reference": upstream.reference}):
        case {"refunds": []}:
            return Found.not_done()
        case {"refunds": [made]}:
            return Found.done(Refunded.model_validate(made))
        case _:
            return Found.ambiguous()
