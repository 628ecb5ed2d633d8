"""A small connector set for the policy tests: money, a lookup to rest it on, and a record with optional fields."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from gateway.connector import Connector, Input, Output, Preview, Risk, Tool, Upstream
from gateway.model import Evidence, Kind, Principal
from gateway.policy import Inquiry

billing = Connector("billing", base_url="https://billing.internal")
crm = Connector("crm", base_url="https://crm.internal")
ops = Connector("ops", base_url="https://ops.internal")


class Refund(Input):
    invoice: Annotated[str, Field(pattern=r"^inv_\w+$")]
    cents: Annotated[int, Field(gt=0, le=500_000)]
    reason: Literal["duplicate", "fraud", "goodwill"]
    note: str | None = None


class Refunded(Output):
    refund: str


class Lookup(Input):
    invoice: Annotated[str, Field(pattern=r"^inv_\w+$")]


class Invoice(Output):
    customer: str
    total: int
    paid: bool


class Address(BaseModel):
    city: str
    country: Literal["DE", "FR", "US"] | None = None


class UpdateContact(Input):
    contact: str
    email: str | None = None
    phone: str | None = None
    shipping_address: Address | None = None
    credit_limit: Annotated[int, Field(ge=0)] | None = None
    vip: bool | None = None
    tags: list[str] | None = None


class Done(Output):
    ok: bool


class Adjust(Input):
    amount: int
    share: float = 0.0


@billing.write(risk=Risk.HIGH, spend="cents", currency="USD")
async def refund(args: Refund, upstream: Upstream) -> Refunded:
    """Refund part or all of one paid invoice."""
    return Refunded.model_validate(await upstream.post(f"/invoices/{args.invoice}/refunds", {"amount": args.cents}))


@refund.preview
async def preview_refund(args: Refund, upstream: Upstream) -> Preview:
    return Preview.diff({}, {"refunded": args.cents})


@billing.read()
async def lookup_invoice(args: Lookup, upstream: Upstream) -> Invoice:
    """Look one invoice up."""
    return Invoice.model_validate(await upstream.get(f"/invoices/{args.invoice}"))


@crm.write(risk=Risk.MEDIUM)
async def update_contact(args: UpdateContact, upstream: Upstream) -> Done:
    """Change some fields of one contact."""
    return Done.model_validate(await upstream.patch(f"/contacts/{args.contact}", {}))


@ops.write(risk=Risk.LOW, spend="amount", currency="JPY")
async def adjust(args: Adjust, upstream: Upstream) -> Done:
    """Move an unbounded amount."""
    return Done.model_validate(await upstream.post("/adjust", {}))


TOOLS: Mapping[str, Tool] = {**billing.tools, **crm.tools, **ops.tools}
TASK = "tsk_1"
BOT = Principal(tenant="acme", id="bot", kind=Kind.AGENT, groups=frozenset({"support"}))

REFUND = {"invoice": "inv_1", "cents": 2000, "reason": "duplicate"}
READ = Evidence("act_read", "billing_lookup_invoice", TASK, 60.0, {"invoice": "inv_1", "customer": "c1", "total": 9000})


def ask(
    tool: str = "billing_refund",
    arguments: Mapping[str, Any] = REFUND,
    *,
    principal: Principal = BOT,
    reason: str | None = "the customer paid twice",
    evidence: tuple[Evidence, ...] = (READ,),
    task: str = TASK,
) -> Inquiry:
    """An inquiry as the gateway asks it: arguments validated and completed."""
    model = TOOLS[tool].input_model
    args = model.model_validate(dict(arguments))
    return Inquiry(
        principal=principal,
        tool=TOOLS[tool],
        arguments=args.model_dump(mode="json"),
        given=frozenset(args.model_fields_set),
        reason=reason,
        evidence=evidence,
        task_id=task,
    )
