"""CRM: find a customer, and correct what we know of them."""

from typing import Annotated

from pydantic import Field, model_validator

from gateway.connector import Connector, Input, Output, Preview, Risk, Upstream

crm = Connector("crm", base_url="https://api.acme.example", credential="kv/acme/crm#api_key")

CustomerId = Annotated[str, Field(pattern=r"^cus_[a-z0-9]{1,24}$", description="The customer's id, such as cus_ada.")]
Email = Annotated[str, Field(pattern=r"^[^@\s]{1,64}@[^@\s]{1,190}$", description="An email address.")]
Name = Annotated[str, Field(min_length=1, max_length=100, description="The customer's full name.")]
Phone = Annotated[str, Field(pattern=r"^\+?[0-9 ]{5,25}$", description="A phone number: digits, spaces, leading +.")]
Address = Annotated[str, Field(min_length=5, max_length=300, description="Where parcels go, on one line.")]


class EmailQuery(Input):
    email: Email


class Match(Output):
    id: Annotated[str, Field(description="The customer's id.")]
    name: Annotated[str, Field(description="The customer's full name.")]


class Matches(Output):
    customers: Annotated[list[Match], Field(description="Who has this address; empty when nobody does.")]


@crm.read(title="Find a customer", sensitive=("email",))
async def find_customer(args: EmailQuery, upstream: Upstream) -> Matches:
    """Find the customer who has an email address.

    Call this first when the user names a customer by email: all other tools want the customer's id.
    """
    return Matches.model_validate(await upstream.get("/customers", {"email": args.email}))


class CustomerQuery(Input):
    customer: CustomerId


class Customer(Output):
    id: Annotated[str, Field(description="The customer's id.")]
    name: Annotated[str, Field(description="The customer's full name.")]
    email: Annotated[str, Field(description="Where we write to.")]
    phone: Annotated[str, Field(description="Where we call.")]
    shipping_address: Annotated[str, Field(description="Where parcels go.")]


@crm.read(title="Show a customer")
async def get_customer(args: CustomerQuery, upstream: Upstream) -> Customer:
    """Show one customer's name and contact details.

    Call this to check who an order or ticket belongs to, and before you change anything with crm_update_customer.
    """
    return Customer.model_validate(await upstream.get(f"/customers/{args.customer}"))


class CustomerUpdate(Input):
    customer: CustomerId
    name: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    shipping_address: Address | None = None

    @model_validator(mode="after")
    def _changes_something(self) -> "CustomerUpdate":
        if not self.changes():
            raise ValueError("give at least one of name, email, phone and shipping_address")
        return self

    def changes(self) -> dict[str, str]:
        """The fields that were given, and only those."""
        return self.model_dump(exclude={"customer"}, exclude_none=True)


@crm.write(title="Update a customer", risk=Risk.MEDIUM, sensitive=("name", "email", "phone", "shipping_address"))
async def update_customer(args: CustomerUpdate, upstream: Upstream) -> Customer:
    """Change a customer's name or contact details. Fields you leave out stay as they are.

    Call this when the customer has asked for the change. Parcels and mail go to the new address from then on.
    """
    path = f"/customers/{args.customer}"
    current = await upstream.get(path)
    return Customer.model_validate(await upstream.patch(path, args.changes(), if_match=current["etag"]))


@update_customer.preview
async def preview_update_customer(args: CustomerUpdate, upstream: Upstream) -> Preview:
    """The given fields before and after. Any other edit of the record in between makes this preview stale."""
    current = await upstream.get(f"/customers/{args.customer}")
    changes = args.changes()
    return Preview.diff({name: current[name] for name in changes}, changes, witness=current["etag"])
