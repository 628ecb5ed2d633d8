"""A lending library as somebody's first connectors see it: honest ones, and ones with the faults of a first one."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from gateway.connector import Connector, Found, Input, Output, Preview, Risk, Upstream
from gateway.testing import FakeUpstream, Request, Response

CREDENTIAL = "kv/library/desk#token"
LOAN = {"book": "b1", "days": 14}

plain = Connector("plain", base_url="https://library.example/api", credential=CREDENTIAL)
keyed = Connector("keyed", base_url="https://library.example", credential=CREDENTIAL, idempotency_header="Request-Id")
partly = Connector("partly", base_url="https://library.example", credential=CREDENTIAL, idempotency_header="Request-Id")
looked = Connector("looked", base_url="https://library.example", credential=CREDENTIAL, auth="X-Desk")
hasty = Connector("hasty", base_url="https://library.example")


class Which(Input):
    book: Annotated[str, Field(pattern=r"^b[0-9]+$", description="The book.")]


class Loan(Which):
    days: Annotated[int, Field(gt=0, le=60, description="For how long.")]


class Book(Output):
    id: str
    days: int
    loans: int


class Lent(Output):
    loan: str


@plain.read()
async def book(args: Which, upstream: Upstream) -> Book:
    """Show a book."""
    return Book.model_validate(await upstream.get(f"/books/{args.book}"))


async def lend(args: Loan, upstream: Upstream) -> Lent:
    """Lend a book for some days."""
    body = {"days": args.days, "reference": upstream.reference}
    return Lent.model_validate(await upstream.post(f"/books/{args.book}/loans", body))


async def preview_lend(args: Loan, upstream: Upstream) -> Preview:
    """The book before and after."""
    now = await upstream.get(f"/books/{args.book}")
    before = {"days": now["days"], "loans": now["loans"]}
    return Preview.diff(before, {"days": args.days, "loans": before["loans"] + 1})


for connector in (plain, keyed, looked):
    tool = connector.write(risk=Risk.MEDIUM, timeout=2.0, settles_after=1.0)(lend)
    tool.preview(preview_lend)


partly.write(risk=Risk.MEDIUM, timeout=2.0, settles_after=1.0, deduplicated=False)(lend)


@looked.tools["looked_lend"].lookup
async def find_loan(args: Loan, upstream: Upstream) -> Found:
    """The loan that carries this action's reference."""
    match await upstream.get("/loans", {"reference": upstream.reference}):
        case {"loans": [made]}:
            return Found.done(Lent.model_validate(made))
        case _:
            return Found.not_done()


@hasty.write(risk=Risk.LOW)
async def twice(args: Loan, upstream: Upstream) -> Lent:
    """Lend it, and lend it again to be sure."""
    await lend(args, upstream)
    return await lend(args, upstream)


@hasty.write(risk=Risk.LOW)
async def peek(args: Loan, upstream: Upstream) -> Lent:
    """A write whose preview cannot wait."""
    return await lend(args, upstream)


@peek.preview
async def preview_peek(args: Loan, upstream: Upstream) -> Preview:
    """What no preview may do."""
    await upstream.post(f"/books/{args.book}/loans", {"days": args.days})
    return Preview.diff({}, {})


@hasty.write(risk=Risk.LOW)
async def boast(args: Loan, upstream: Upstream) -> Lent:
    """A write whose preview promises too much."""
    return await lend(args, upstream)


@boast.preview
async def preview_boast(args: Loan, upstream: Upstream) -> Preview:
    """A day more than is given."""
    now = await upstream.get(f"/books/{args.book}")
    return Preview.diff(
        {"days": now["days"], "loans": now["loans"]}, {"days": args.days + 1, "loans": now["loans"] + 1}
    )


@hasty.write(risk=Risk.LOW)
async def hide(args: Loan, upstream: Upstream) -> Lent:
    """A write whose preview does not tell all."""
    return await lend(args, upstream)


@hide.preview
async def preview_hide(args: Loan, upstream: Upstream) -> Preview:
    """The days only."""
    now = await upstream.get(f"/books/{args.book}")
    return Preview.diff({"days": now["days"]}, {"days": args.days})


class Library(FakeUpstream):
    """One book, and the loans of it."""

    def __init__(self) -> None:
        super().__init__({"GET /books/{book}": self.show, "POST /books/{book}/loans": self.lend})
        self.route("GET /loans")(self.find)
        self.books = {"b1": {"id": "b1", "days": 0, "loans": 0, "shelf": "staff only"}}
        self.loans: list[dict[str, Any]] = []

    def record(self) -> dict[str, Any]:
        """The book, as an assertion compares it."""
        return self.books["b1"]

    def show(self, request: Request) -> Any:
        return self.books[request.path_params["book"]]

    def lend(self, request: Request) -> Any:
        book = self.books[request.path_params["book"]]
        if request.body["days"] == 13:
            return Response(422, {"message": "We are superstitious."})
        book["days"], book["loans"] = request.body["days"], book["loans"] + 1
        self.loans.append({"loan": f"l{book['loans']}", "reference": request.body.get("reference")})
        return Response(201, self.loans[-1])

    def find(self, request: Request) -> Any:
        return {"loans": [loan for loan in self.loans if loan["reference"] == request.query_params["reference"]]}
