"""Acme's public API: what is asked, read from the request; what is answered, as JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Annotated, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.demo.acme.state import Record, Rejection, State

Handler: TypeAlias = Callable[[Request], Awaitable[Response]]
Text: TypeAlias = Annotated[str, Field(min_length=1, max_length=4_000)]


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


B = TypeVar("B", bound=Body)


class CustomerChanges(Body):
    name: Text | None = None
    email: Text | None = None
    phone: Text | None = None
    shipping_address: Text | None = None


class NewRefund(Body):
    cents: Annotated[int, Field(gt=0)]
    reason: Text
    reference: Text | None = None


class NewReply(Body):
    text: Text
    reference: Text | None = None


def public_routes(state: State) -> list[Route]:
    """Every endpoint of the API, bound to one company's records."""

    async def find_customers(request: Request) -> Response:
        return JSONResponse({"customers": state.customers_by_email(_query(request, "email"))})

    async def get_customer(request: Request) -> Response:
        return _tagged(state.customer(request.path_params["id"]))

    async def update_customer(request: Request) -> Response:
        changes = (await _body(request, CustomerChanges)).model_dump(exclude_none=True)
        if_match = request.headers.get("if-match")
        return _tagged(state.update_customer(_arrival(request), request.path_params["id"], changes, if_match))

    async def get_order(request: Request) -> Response:
        return JSONResponse(state.order(request.path_params["id"]))

    async def get_invoice(request: Request) -> Response:
        return JSONResponse(state.invoice(request.path_params["id"]))

    async def make_refund(request: Request) -> Response:
        wanted, invoice = await _body(request, NewRefund), request.path_params["id"]

        def act() -> tuple[int, Record]:
            made = state.refund(_arrival(request), invoice, wanted.cents, wanted.reason, wanted.reference)
            return 201, made

        key = request.headers.get("idempotency-key")
        status, answer = state.once(key, _digest(invoice, wanted), act) if key else act()
        return JSONResponse(answer, status)

    async def find_refunds(request: Request) -> Response:
        return JSONResponse({"refunds": state.refunds(_query(request, "reference"))})

    async def get_ticket(request: Request) -> Response:
        return JSONResponse(state.ticket(request.path_params["id"]))

    async def make_reply(request: Request) -> Response:
        reply = await _body(request, NewReply)
        ticket = request.path_params["id"]
        return JSONResponse(state.reply(_arrival(request), ticket, reply.text, reply.reference), 201)

    async def find_replies(request: Request) -> Response:
        return JSONResponse({"replies": state.replies(request.path_params["id"], _query(request, "reference"))})

    return [
        Route("/customers", find_customers, methods=["GET"]),
        Route("/customers/{id}", get_customer, methods=["GET"]),
        Route("/customers/{id}", update_customer, methods=["PATCH"]),
        Route("/orders/{id}", get_order, methods=["GET"]),
        Route("/invoices/{id}", get_invoice, methods=["GET"]),
        Route("/invoices/{id}/refunds", make_refund, methods=["POST"]),
        Route("/refunds", find_refunds, methods=["GET"]),
        Route("/tickets/{id}", get_ticket, methods=["GET"]),
        Route("/tickets/{id}/replies", make_reply, methods=["POST"]),
        Route("/tickets/{id}/replies", find_replies, methods=["GET"]),
    ]


def _arrival(request: Request) -> int:
    number: int = request.state.arrival
    return number


def _query(request: Request, name: str) -> str:
    value = request.query_params.get(name)
    if not value:
        raise Rejection(422, "missing_parameter", f"Give the query parameter {name}.")
    return value


async def _body(request: Request, model: type[B]) -> B:
    try:
        return model.model_validate_json(await request.body())
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "body"
        raise Rejection(422, "invalid_body", f"{where}: {first['msg']}.") from None


def _tagged(customer: Record) -> Response:
    return JSONResponse(customer, headers={"ETag": customer["etag"]})


def _digest(invoice: str, wanted: NewRefund) -> str:
    return hashlib.sha256(json.dumps([invoice, wanted.model_dump()], sort_keys=True).encode()).hexdigest()
