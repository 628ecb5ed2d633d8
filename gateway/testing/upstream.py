"""A system of record for tests: routes that a test writes, faults that it brings on, and a journal of what arrived."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import parse_qsl, unquote, urlsplit

from gateway.connector import JSON
from gateway.testing.exchange import READS, Request, Response, parsed
from gateway.testing.faults import Fault
from gateway.testing.loopback import HOST, Act, Arrival, listening, reply

log = logging.getLogger("holdgate.testing")

PATIENCE: Final = 10.0
"""Seconds after which something that a test waits for counts as never coming."""
_WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_RULE: Final = re.compile(rf"({'|'.join(READS | _WRITES)}) /\S*")


Route: TypeAlias = Callable[[Request], JSON | Response | Awaitable[JSON | Response]]


@dataclass(slots=True)
class _Coming:
    fault: Fault
    on: frozenset[str] | None
    """Methods and routes; None: any."""
    times: int


class FakeUpstream:
    """A real HTTP server on loopback that answers as its routes say, and writes down every request first.

    Args:
        routes: `"METHOD /path/{name}"` to a canned JSON answer, or to a function of the `Request` that returns JSON or
            a `Response`. A `LookupError` in it is a 404; any other exception is logged and is a 500.

    `Harness` starts it and tells it what the connector promises: a request without the connector's credential is
    answered 401, and a write under an idempotency key that it has seen gets the first answer and has no effect.
    """

    def __init__(self, routes: Mapping[str, JSON | Route] | None = None) -> None:
        self._routes: list[tuple[str, re.Pattern[str], JSON | Route]] = []
        self.journal: list[Request] = []
        """Every request since the server was started, oldest first."""
        self.idempotency_header: str | None = None
        """The header whose value names a write, if this system deduplicates."""
        self._credentials: set[tuple[str, str]] = set()
        self._answered: dict[str, Response] = {}
        self._coming: list[_Coming] = []
        self._stalled = 0
        self._release = asyncio.Event()
        self._changed = asyncio.Event()
        self._port = 0
        self._stack = AsyncExitStack()
        for rule, answer in (routes or {}).items():
            self._add(rule, answer)

    def route(self, rule: str) -> Callable[[Route], Route]:
        """Declare what answers `"METHOD /path/{name}"`; the names are in `Request.path_params`."""

        def declare(function: Route) -> Route:
            self._add(rule, function)
            return function

        return declare

    def inject(self, fault: Fault, *, on: str | None = None, times: int = 1) -> None:
        """Bring `fault` on the next requests.

        Args:
            on: a method, `"POST"`, or a route as it was declared; None: whatever comes.
            times: how many requests it befalls.
        """
        if on is not None and on not in {*READS, *_WRITES, *(rule for rule, _, _ in self._routes)}:
            raise ValueError(f"{on!r} is neither a method nor a route of this upstream")
        self._coming.append(_Coming(fault, None if on is None else frozenset({on}), times))

    def lose_next_answer(self) -> None:
        """Do what the next write asks, and cut its connection instead of answering."""
        self._coming.append(_Coming(Fault.cut(after_effect=True), _WRITES, 1))

    def accept(self, header: str, value: str) -> None:
        """From now on answer 401 to requests that carry no accepted credential, this one among them."""
        self._credentials.add((header.lower(), value))

    @property
    def url(self) -> str:
        """Where it listens, while it runs."""
        return f"http://{HOST}:{self._port}"

    @property
    def writes(self) -> list[Request]:
        """The journal's requests that asked for a change."""
        return [request for request in self.journal if request.writes]

    @property
    def effects(self) -> list[Request]:
        """The journal's requests that changed something."""
        return [request for request in self.journal if request.effect]

    async def arrived(self, count: int = 1) -> list[Request]:
        """The journal, once it holds `count` requests."""
        await self._until(lambda: len(self.journal) >= count, f"request number {count}")
        return self.journal

    async def stalled(self, count: int = 1) -> None:
        """Return once `count` requests are kept waiting by a `Fault.stall`."""
        await self._until(lambda: self._stalled >= count, f"{count} stalled requests")

    def release(self) -> None:
        """Let every stalled request go on."""
        self._release.set()
        self._release = asyncio.Event()

    async def __aenter__(self) -> FakeUpstream:
        """Serve, with an empty journal and no faults to come."""
        self.journal, self._coming, self._answered, self._stalled = [], [], {}, 0
        self._release, self._changed = asyncio.Event(), asyncio.Event()
        self._port = await self._stack.enter_async_context(listening(self._answer))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()
        self._credentials.clear()
        self.idempotency_header = None

    def run(self, port: int) -> None:
        """Serve on a port until Ctrl-C or SIGTERM, and print what arrives: to try a connector by hand."""

        async def answer(arrival: Arrival) -> Act:
            act = await self._answer(arrival)
            request = self.journal[-1]
            print(f"{request.method} {request.path} -> {request.status}", file=sys.stderr, flush=True)
            return act

        async def serve() -> None:
            ended = asyncio.Event()
            for each in (signal.SIGINT, signal.SIGTERM):
                asyncio.get_running_loop().add_signal_handler(each, ended.set)
            async with listening(answer, port=port):
                print(f"A fake upstream at http://{HOST}:{port}; Ctrl-C stops it.", file=sys.stderr, flush=True)
                await ended.wait()

        asyncio.run(serve())

    # -- one request

    async def _answer(self, arrival: Arrival) -> Act:
        request, rule, answer = self._read(arrival)
        self.journal.append(request)
        self._mark()
        if self._credentials and not any(request.headers.get(name) == value for name, value in self._credentials):
            return self._sent(request, Response(401, {"error": "no such credential"}))
        fault = self._take(request.method, rule)
        if fault is None:
            return self._sent(request, await self._act(request, answer))
        if not fault.after_effect:
            if fault.instead is not None:
                return self._spoiled(request, fault)
            await self._stall()
        response = await self._act(request, answer)
        if fault.after_effect:
            if fault.instead is not None:
                return self._spoiled(request, fault)
            await self._stall()
        return self._sent(request, response)

    def _read(self, arrival: Arrival) -> tuple[Request, str, JSON | Route]:
        target = urlsplit(arrival.target)
        path = unquote(target.path)
        query = dict(parse_qsl(target.query, keep_blank_values=True))
        request = Request(arrival.method, path, query, arrival.headers, parsed(arrival.body))
        for rule, pattern, answer in self._routes:
            if found := pattern.fullmatch(f"{arrival.method} {path}"):
                request.path_params = found.groupdict()
                return request, rule, answer
        routes = ", ".join(rule for rule, _, _ in self._routes) or "none"
        log.warning("no route of the fake upstream answers %s %s; there are: %s", arrival.method, path, routes)
        return request, "", Response(404, {"error": f"no route for {arrival.method} {path}"})

    async def _act(self, request: Request, answer: JSON | Route) -> Response:
        """Do what is asked, once for each idempotency key."""
        key = request.headers.get((self.idempotency_header or "").lower()) if request.writes else None
        if key is not None and key in self._answered:
            return self._answered[key]
        response = await self._respond(request, answer)
        request.effect = request.writes and response.status < 400
        if key is not None and request.effect:
            self._answered[key] = response
        return response

    async def _respond(self, request: Request, answer: JSON | Route) -> Response:
        try:
            said = answer(request) if callable(answer) else answer
            if isinstance(said, Awaitable):
                said = await said
        except LookupError as missing:
            return Response(404, {"error": f"there is no {missing}"})
        except Exception as broken:
            log.exception("the route for %s %s is broken", request.method, request.path)
            return Response(500, {"error": f"{type(broken).__name__}: {broken}"})
        return said if isinstance(said, Response) else Response(200, said)

    def _sent(self, request: Request, response: Response) -> Act:
        request.status = response.status
        if isinstance(response.body, bytes):
            body, kind = response.body, "application/octet-stream"
        else:
            body, kind = json.dumps(response.body).encode(), "application/json"
        own = {name.lower(): value for name, value in response.headers.items()}
        return reply(response.status, body, {"content-type": kind, **own})

    def _spoiled(self, request: Request, fault: Fault) -> Act:
        assert fault.instead is not None
        request.status = fault.code
        return fault.instead

    def _take(self, method: str, rule: str) -> Fault | None:
        for coming in self._coming:
            if coming.on is None or not coming.on.isdisjoint({method, rule}):
                coming.times -= 1
                if not coming.times:
                    self._coming.remove(coming)
                return coming.fault
        return None

    async def _stall(self) -> None:
        release = self._release
        self._stalled += 1
        self._mark()
        try:
            await release.wait()
        finally:
            self._stalled -= 1

    # -- routes and waiting

    def _add(self, rule: str, answer: JSON | Route) -> None:
        if not _RULE.fullmatch(rule):
            raise ValueError(f"{rule!r} is no route: write it as `METHOD /path/{{name}}`")
        pattern = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", re.escape(rule))
        self._routes.append((rule, re.compile(pattern), answer))

    def _mark(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _until(self, condition: Callable[[], bool], what: str) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not condition():
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"waited {PATIENCE:g} s in vain for {what}; arrived are {self.journal}") from None
