"""The levers behind the counter, for tests and the demo: read the journal, bring on bad days, let go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable

from pydantic import ValidationError
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route

from gateway.demo.acme.faults import Fault, Faults
from gateway.demo.acme.journal import Journal
from gateway.demo.acme.state import Rejection, State


def control(state: State, journal: Journal, faults: Faults) -> Mount:
    """The routes under `/_control`, which ask for no key: the process listens on loopback only.

    `GET journal` and `GET parked` take `at_least` and `timeout` (seconds, 10 by default) and answer when there
    are so many, so that a test waits for an event and never for a while.
    """

    async def read_journal(request: Request) -> Response:
        await _patiently(request, journal.wait_for(_at_least(request)), "requests")
        return JSONResponse({"entries": journal.entries()})

    async def clear_journal(_: Request) -> Response:
        journal.clear()
        return Response(status_code=204)

    async def list_faults(_: Request) -> Response:
        return JSONResponse({"faults": [fault.model_dump(mode="json") for fault in faults.coming]})

    async def add_fault(request: Request) -> Response:
        try:
            fault = Fault.model_validate_json(await request.body())
        except ValidationError as error:
            raise Rejection(422, "invalid_fault", str(error)) from None
        faults.add(fault)
        return JSONResponse(fault.model_dump(mode="json"), 201)

    async def clear_faults(_: Request) -> Response:
        faults.clear()
        return Response(status_code=204)

    async def release(_: Request) -> Response:
        released = faults.parked
        faults.release()
        return JSONResponse({"released": released})

    async def read_parked(request: Request) -> Response:
        await _patiently(request, faults.wait_for_parked(_at_least(request)), "waiting requests")
        return JSONResponse({"parked": faults.parked})

    async def start_over(_: Request) -> Response:
        faults.clear()
        state.start_over()
        return Response(status_code=204)

    return Mount(
        "/_control",
        routes=[
            Route("/journal", read_journal, methods=["GET"]),
            Route("/journal", clear_journal, methods=["DELETE"]),
            Route("/faults", list_faults, methods=["GET"]),
            Route("/faults", add_fault, methods=["POST"]),
            Route("/faults", clear_faults, methods=["DELETE"]),
            Route("/release", release, methods=["POST"]),
            Route("/parked", read_parked, methods=["GET"]),
            Route("/start-over", start_over, methods=["POST"]),
        ],
        # A page in the user's browser must not reach these under a name of its own that leads to loopback.
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])],
    )


def _at_least(request: Request) -> int:
    return int(request.query_params.get("at_least", "0"))


async def _patiently(request: Request, event: Awaitable[None], what: str) -> None:
    try:
        await asyncio.wait_for(event, float(request.query_params.get("timeout", "10")))
    except TimeoutError:
        raise Rejection(408, "timeout", f"There were not {_at_least(request)} {what} in time.") from None
