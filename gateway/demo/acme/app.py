"""The server around the API: witness first, then the key, then whatever kind of day it is, then the work."""

from __future__ import annotations

import hmac
import sqlite3

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.demo.acme.control import control
from gateway.demo.acme.faults import Faults, instead, spoiled
from gateway.demo.acme.journal import Journal
from gateway.demo.acme.routes import public_routes
from gateway.demo.acme.state import Rejection, State


def acme(database: sqlite3.Connection, api_keys: frozenset[str], *, with_control: bool) -> ASGIApp:
    """The whole company as one ASGI application.

    Args:
        api_keys: the bearer tokens it accepts.
        with_control: whether `/_control` is there at all.
    """
    state, journal, faults = State(database), Journal(database), Faults()
    api = Starlette(routes=public_routes(state), exception_handlers=ERRORS)
    levers = Starlette(routes=[control(state, journal, faults)] if with_control else [], exception_handlers=ERRORS)
    counter = Counter(api, api_keys, journal, faults)

    async def door(scope: Scope, receive: Receive, send: Send) -> None:
        controls = scope["type"] == "http" and scope["path"].startswith("/_control/")
        await (levers if controls else counter)(scope, receive, send)

    return door


class Counter:
    """Where every public request arrives. It is in the journal before anybody looks at what it wants."""

    def __init__(self, api: ASGIApp, api_keys: frozenset[str], journal: Journal, faults: Faults) -> None:
        self._api = api
        self._api_keys = api_keys
        self._journal = journal
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._api(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            body = await request.body()
        except ClientDisconnect:
            return
        arrival = await self._journal.arrived(request, body)
        scope["state"]["arrival"] = arrival
        answer = await self._serve(request, body)
        if answer is None:
            scope["extensions"]["acme.connection"]["cut"]()
            await receive()
            return
        self._journal.answered(arrival, answer.status_code)
        await answer(scope, receive, send)

    async def _serve(self, request: Request, body: bytes) -> Response | None:
        """The answer; None where the connection is to be cut."""
        authorization = request.headers.get("authorization", "")
        if not self._known(authorization):
            return JSONResponse({"error": {"code": "unauthorized", "message": "Give a valid API key."}}, 401)
        fault = self._faults.take(request.method, request.url.path)
        if fault is None:
            return await self._act(request, body)
        if fault.fault == "drop_before":
            return None
        if (answer := instead(fault, authorization)) is not None:
            return answer
        if fault.fault == "slow" and isinstance(fault.arg, (int, float)):
            await self._faults.park(fault.arg)
        if fault.fault == "wait_for_release" and fault.arg == "before":
            await self._faults.park(None)
        answer = await self._act(request, body)
        if fault.fault == "wait_for_release" and fault.arg == "after":
            await self._faults.park(None)
        return None if fault.fault == "drop_after" else spoiled(fault, authorization, answer)

    def _known(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        known = [hmac.compare_digest(token.encode(), key.encode()) for key in self._api_keys]
        return scheme.lower() == "bearer" and any(known)

    async def _act(self, request: Request, body: bytes) -> Response:
        """Let the API answer, and keep the answer back: a fault may still spoil it."""
        status, headers, content = 500, [], b""

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        async def keep(message: Message) -> None:
            nonlocal status, headers, content
            if message["type"] == "http.response.start":
                status, headers = message["status"], message["headers"]
            else:
                content += message.get("body", b"")

        await self._api(request.scope, replay, keep)
        answer = Response(content, status)
        answer.raw_headers = headers
        return answer


class CuttableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which lets the application close the connection without an answer."""

    def on_headers_complete(self) -> None:
        self.scope["extensions"] = {"acme.connection": {"cut": self.transport.abort}}
        super().on_headers_complete()


async def _rejected(_: Request, error: Exception) -> Response:
    assert isinstance(error, Rejection)
    return JSONResponse({"error": {"code": error.code, "message": str(error)}}, error.status)


async def _unrouted(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    code = "method_not_allowed" if error.status_code == 405 else "no_such_resource"
    return JSONResponse({"error": {"code": code, "message": error.detail}}, error.status_code, error.headers)


ERRORS = {Rejection: _rejected, HTTPException: _unrouted}
