"""What stands in front of the protocol: who calls, how much, and whether the answer arrived (semantics.md R-3, I-15).

A plain ASGI app around the SDK's. In this order: Host and Origin, failed-authentication limit, bearer credential,
encoding, body cap, strict JSON, and only then the protocol. A call that fails here has reached no tool.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.errors import LedgerUnavailable
from gateway.model import Principal
from gateway.strict_json import MAX_BYTES
from gateway.wire.delivery import Delivery
from gateway.wire.exchange import EXCHANGE, Exchange, received_already
from gateway.wire.fields import Fields, fields_of, with_one_accept
from gateway.wire.http_answers import Answer, failure
from gateway.wire.http_limits import FailureLimit, host_matches
from gateway.wire.json_rpc import HEADER_MISMATCH, INVALID_REQUEST
from gateway.wire.messages import BadMessage, id_of, read
from gateway.wire.probes import Probes
from gateway.wire.terms import encoded, unmet

if TYPE_CHECKING:
    from gateway.wire.direct import Direct

_LISTEN: Final = "subscriptions/listen"
_BODY_SECONDS: Final = 30.0
_SINGLE_HEADERS: Final = frozenset(
    ("authorization", "idempotency-key", "holdgate-task", "holdgate-dry-run", "mcp-session-id")
)
_ROUTING_HEADERS: Final = frozenset(("mcp-protocol-version", "mcp-method", "mcp-name"))
_CHUNKED: Final = "chunked"

Authenticate = Callable[[str], Awaitable[Principal | None]]
"""The principal behind a bearer token, or None. Raises `LedgerUnavailable` when the store cannot be asked."""


@dataclass(frozen=True, slots=True)
class FrontSettings:
    """How the gateway is reached over HTTP."""

    allowed_hosts: tuple[str, ...] = ("127.0.0.1:*", "localhost:*", "[::1]:*")
    """`Host` values that are ours; `:*` stands for any port. There is no way to allow every host."""
    allowed_origins: tuple[str, ...] = ()
    """Web origins that may call; agents send no `Origin` at all."""
    path: str = "/mcp"
    sessions: bool = False
    """Whether clients of the handshake era may open a session: then GET and DELETE pass, too."""
    failures: int = 20
    """Failed authentications per client address and minute."""


class HttpFront:
    """The ASGI app to serve.

    Args:
        app: the SDK's app, which finds the `Exchange` in the request's state.
        settings: hosts, path and limits.
        authenticate: see `Authenticate`.
        probes: answers those who only ask whether it is up.
        delivered: told which actions' answers were handed over whole, once they were (semantics.md I-15).
        direct: answers plain calls in the app's stead.
        clock: seconds, never going back; only for the failure limit.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: FrontSettings,
        *,
        authenticate: Authenticate,
        probes: Probes,
        delivered: Callable[[list[str]], Awaitable[None]],
        direct: Direct | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._direct = direct
        self._settings = settings
        self._authenticate = authenticate
        self._probes = probes
        self._delivered = delivered
        self._failures = FailureLimit(settings.failures, 60.0, clock)
        self._standing: set[Delivery] = set()

    def hang_up(self) -> None:
        """End the streams on which clients wait for news: who stops need not wait with them."""
        for stream in self._standing:
            stream.hang_up()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "http":
            if (answer := await self._answer(scope, receive, send)) is not None:
                await answer.send(send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        """The answer when the request ends here, or None when the protocol has answered it."""
        path: str = scope["path"]
        if (answer := await self._probes.answer(scope["method"], path)) is not None:
            return answer
        fields = fields_of(scope["headers"])
        if "accept" in fields.repeated:
            scope = {**scope, "headers": with_one_accept(scope["headers"])}
            fields = fields_of(scope["headers"])
        if not host_matches(fields.one("host"), self._settings.allowed_hosts):
            return failure(421, "This Host is not served here; add it to `allowed_hosts`.")
        if "origin" in fields.values and not host_matches(fields.one("origin"), self._settings.allowed_origins):
            return failure(403, "This Origin may not call; add it to `allowed_origins`.")
        if path != self._settings.path:
            return failure(404, f"There is nothing at this path; MCP is served at {self._settings.path}.")
        methods = ("POST", "GET", "DELETE") if self._settings.sessions else ("POST",)
        if scope["method"] not in methods:
            return failure(405, "Send MCP messages with POST.", headers={"allow": ", ".join(methods)})
        for name in fields.repeated & _SINGLE_HEADERS:
            return failure(400, f"The header {name} appears more than once.", code=INVALID_REQUEST)
        principal = await self._principal(scope, fields)
        if isinstance(principal, Answer):
            return principal
        if scope["method"] != "POST":
            await self._serve(scope, receive, send, Exchange(principal), b"", standing=scope["method"] == "GET")
            return None
        if (refusal := encoded(fields)) is not None:
            return refusal
        body = await _body(fields, receive)
        if isinstance(body, Answer):
            return body
        message = _message(fields, body)
        if isinstance(message, Answer):
            return message
        exchange = Exchange(principal)
        plain = self._direct.plain(fields, message) if self._direct is not None else None
        if plain is None or self._direct is None:
            # A plain message has met them.
            if (refusal := unmet(fields, message)) is not None:
                return refusal
            standing = message.get("method") == _LISTEN
            await self._serve(scope, receive, send, exchange, body, standing=standing)
        else:
            client = scope["client"][0] if scope.get("client") else None
            await self._record(await self._direct.answer(plain, exchange, fields, client, receive, send))
        return None

    async def _principal(self, scope: Scope, fields: Fields) -> Principal | Answer:
        """The caller. Every failed attempt gets the same answer, whether the key is unknown, revoked or malformed."""
        address = scope["client"][0] if scope.get("client") else ""
        if (wait := self._failures.wait(address)) > 0:
            return failure(429, "Too many failed authentications from this address.", retry_after=wait)
        scheme, _, token = fields.values.get("authorization", "").partition(" ")
        if not token:
            return _unauthorized("Send a credential as `Authorization: Bearer ...`.", "")
        try:
            principal = await self._authenticate(token.strip()) if scheme.lower() == "bearer" else None
        except LedgerUnavailable:
            return failure(503, "Credentials cannot be checked now; nothing was done.", retry_after=1)
        if principal is None:
            self._failures.record(address)
            return _unauthorized("The credential is not valid.", ', error="invalid_token"')
        return principal

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, exchange: Exchange, body: bytes, *, standing: bool
    ) -> None:
        watch = Delivery(receive, send, exchange, body)
        if standing:
            self._standing.add(watch)
        known = {
            "state": {**scope.get("state", {}), EXCHANGE: exchange},
            "headers": [(name, value.strip(b" \t")) for name, value in scope["headers"]],
        }
        watcher = asyncio.create_task(watch.until_gone())
        try:
            await self._app({**scope, **known}, watch.receive, watch.send)
        finally:
            watcher.cancel()
            self._standing.discard(watch)
            await watch.finish()
            await self._record(watch.handed_over)

    async def _record(self, action_ids: list[str]) -> None:
        if action_ids:
            await self._delivered(action_ids)


def _unauthorized(message: str, error: str) -> Answer:
    return failure(401, message, headers={"www-authenticate": 'Bearer realm="holdgate"' + error})


async def _body(fields: Fields, receive: Receive) -> bytes | Answer:
    declared = fields.values.get("content-length", "")
    if declared.isdecimal() and int(declared[:12]) > MAX_BYTES:
        return _too_large()
    if not declared and fields.values.get("transfer-encoding", _CHUNKED).lower() != _CHUNKED:
        return failure(501, "Send the body as it is, or in chunks; no other `Transfer-Encoding` is understood.")
    first = received_already(receive)
    if first is not None and first["type"] == "http.request" and not first.get("more_body", False):
        body: bytes = first.get("body", b"")
        return body if len(body) <= MAX_BYTES else _too_large()
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await _body_in_parts(first, receive)
    except TimeoutError:
        return failure(408, "The body did not arrive in time.")


async def _body_in_parts(first: Message | None, receive: Receive) -> bytes | Answer:
    body = bytearray()
    message = first or await receive()
    while message["type"] == "http.request":
        body += message.get("body", b"")
        if len(body) > MAX_BYTES:
            return _too_large()
        if not message.get("more_body", False):
            return bytes(body)
        message = await receive()
    return failure(400, "The client left before its body was complete.")


def _too_large() -> Answer:
    return failure(413, f"The body is larger than {MAX_BYTES} bytes.")


def _message(fields: Fields, body: bytes) -> dict[str, Any] | Answer:
    """The one JSON-RPC message of a body; the refusal of one that is not, or that its headers misname (A-6)."""
    try:
        message = read(body)
    except BadMessage as bad:
        return failure(400, str(bad), code=bad.code, request_id=bad.id)
    return _misnamed(fields, message) or message


def _misnamed(fields: Fields, message: dict[str, Any]) -> Answer | None:
    for header in fields.repeated & _ROUTING_HEADERS if fields.repeated else ():
        text = f"The header {header} appears more than once."
        return failure(400, text, code=HEADER_MISMATCH, request_id=id_of(message))
    params: dict[str, Any] = message.get("params", {})
    for header, said in (("mcp-method", message.get("method")), ("mcp-name", params.get("name"))):
        value = fields.values.get(header)
        # The SDK decodes and compares encoded names itself.
        if value is not None and isinstance(said, str) and value != said and not value.startswith("=?"):
            text = f"The header {header} does not agree with the body."
            return failure(400, text, code=HEADER_MISMATCH, request_id=id_of(message))
    return None
