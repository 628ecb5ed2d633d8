"""Sessions of the handshake era: whose they are, how many, how long, and that every one hears of a change."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack, contextmanager
from typing import Any

import anyio
import anyio.lowlevel
import httpx
import httpx2
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from gateway.wire.sessions import Sessions
from tests.services import eventually
from tests.serving import served
from tests.shop import Shop

BOT, CLERK = "token-of-the-bot", "token-of-the-clerk"
VERSION = "2025-11-25"


class Clock:
    """Seconds that a test turns."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Agent:
    """A bare client of the handshake era, one request at a time."""

    def __init__(self, http: httpx.Client, url: str, token: str) -> None:
        self._http = http
        self._url = url
        self._token = token

    def send(
        self, message: dict[str, Any] | None, session: str | None = None, *, verb: str = "POST", **headers: str
    ) -> httpx.Response:
        sent = {
            "authorization": f"Bearer {self._token}",
            "content-type": "application/json",
            "accept": "application/json, text/event-stream" if verb == "POST" else "text/event-stream",
            **({"mcp-session-id": session, "mcp-protocol-version": VERSION} if session else {}),
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        body = json.dumps({"jsonrpc": "2.0", **message}) if message is not None else None
        return self._http.request(verb, self._url, headers=sent, content=body)

    def initialize(self) -> httpx.Response:
        params = {"protocolVersion": VERSION, "capabilities": {}, "clientInfo": {"name": "bare", "version": "1"}}
        return self.send({"id": 1, "method": "initialize", "params": params})

    def open(self) -> str:
        answer = self.initialize()
        assert answer.status_code == 200
        session = answer.headers["mcp-session-id"]
        assert self.send({"method": "notifications/initialized"}, session).status_code == 202
        return session

    def call(self, session: str | None) -> httpx.Response:
        params = {"name": "shop_lookup", "arguments": {"invoice": "inv_1"}}
        return self.send({"id": 2, "method": "tools/call", "params": params}, session)

    def end(self, session: str) -> httpx.Response:
        return self.send(None, session, verb="DELETE")


Login = Callable[[str], Agent]


@contextmanager
def logins(gateway: Shop, sessions: Sessions) -> Iterator[Login]:
    with served(gateway, sessions=sessions) as port, httpx.Client(trust_env=False, timeout=10) as http:
        yield lambda token: Agent(http, f"http://127.0.0.1:{port}/mcp", token)


@pytest.fixture
def login(gateway: Shop) -> Iterator[Login]:
    with logins(gateway, Sessions(per_principal=2)) as login:
        yield login


def test_a_session_of_another_principal_is_like_one_that_never_was(gateway: Shop, login: Login) -> None:
    """A-8, T-5: with a session's id and another's key, each verb gets what an unknown id gets, and nothing happens."""
    bot, clerk = login(BOT), login(CLERK)
    session = bot.open()
    for verb, message in (("POST", {"id": 2, "method": "tools/list"}), ("GET", None), ("DELETE", None)):
        foreign = clerk.send(message, session, verb=verb)
        unknown = clerk.send(message, "0" * 32, verb=verb)
        assert foreign.status_code == unknown.status_code == 404
        assert foreign.content == unknown.content
        assert sorted(foreign.headers) == sorted(unknown.headers)
    assert clerk.call(session).status_code == 404
    assert gateway.calls == []
    assert bot.call(session).status_code == 200


def test_a_session_opens_nothing_without_its_owners_key(login: Login) -> None:
    """A-8: a session id is no credential; each request is authenticated anew."""
    session = login(BOT).open()
    for verb in ("POST", "GET", "DELETE"):
        assert login("stolen").send({"id": 2, "method": "tools/list"}, session, verb=verb).status_code == 401
    assert login(BOT).call(session).status_code == 200


def test_a_session_ends_when_its_owner_says_so(login: Login) -> None:
    """DELETE ends it for good."""
    bot = login(BOT)
    session = bot.open()
    assert bot.end(session).status_code == 200
    assert bot.call(session).status_code == 404
    assert bot.end(session).status_code == 404


def test_a_principal_has_so_many_sessions_and_takes_no_others_room(login: Login) -> None:
    """A-8, T-4: the next one is refused, with a retry-after, until one ends; a refused opening left nothing."""
    bot, clerk = login(BOT), login(CLERK)
    first, _ = bot.open(), bot.open()
    for _ in range(3):
        refused = bot.initialize()
        assert refused.status_code == 429
        assert refused.headers["retry-after"]
    clerk.open()
    assert clerk.call(None).status_code == 400
    clerk.open()
    bot.end(first)
    assert bot.call(bot.open()).status_code == 200


def test_a_silent_session_ends_and_makes_room(gateway: Shop) -> None:
    """A-8: after the idle time its id is unknown, and it counts no more."""
    clock = Clock()
    sessions = Sessions(per_principal=1, idle_seconds=600, clock=clock)

    def quiet() -> bool:
        return not any(session.under_way for session in sessions.live())

    with logins(gateway, sessions) as login:
        bot = login(BOT)
        old = bot.open()
        assert eventually(quiet, "the opening to be over")
        clock.now = 599.0
        assert bot.call(old).status_code == 200
        assert bot.initialize().status_code == 429
        assert eventually(quiet, "the last request to be over")
        clock.now += 600.0
        new = bot.open()
        assert bot.call(old).status_code == 404
        assert bot.call(new).status_code == 200


def test_a_session_is_a_task_of_its_own(gateway: Shop, login: Login) -> None:
    """I-16: the calls of one session belong together, and no header makes them another session's."""
    bot = login(BOT)
    one, other = bot.open(), bot.open()
    for session in (one, one, other):
        assert bot.call(session).status_code == 200
    named = [call.carried.session for call in gateway.calls]
    assert named[0] == named[1] != named[2]
    assert None not in named
    assert one not in named


def test_without_sessions_the_header_opens_and_names_nothing(gateway: Shop) -> None:
    """By default any process can answer any request: no session is given, and a header that names one is nothing."""
    with served(gateway) as port, httpx.Client(trust_env=False, timeout=10) as http:
        bot = Agent(http, f"http://127.0.0.1:{port}/mcp", BOT)
        assert "mcp-session-id" not in bot.initialize().headers
        assert bot.call("0" * 32).status_code == 200
        assert bot.send(None, verb="GET").status_code == 405
    assert gateway.calls[0].carried.session is None


_ANNOUNCED = {f"{what}ListChangedNotification" for what in ("Tool", "Resource", "Prompt")}


@pytest.mark.anyio
async def test_a_changed_list_is_announced_to_every_open_session_and_to_every_listener(gateway: Shop) -> None:
    """Whoever has a line open hears of it, in either era."""
    heard: dict[str, list[str]] = {BOT: [], CLERK: []}

    def hears(token: str) -> Any:
        async def hear(message: object) -> None:
            heard[token].append(type(message).__name__)

        return hear

    with served(gateway, sessions=Sessions()) as port:
        url = f"http://127.0.0.1:{port}/mcp"
        async with AsyncExitStack() as stack:

            async def connected(token: str, mode: str) -> Client:
                sent = {"authorization": f"Bearer {token}"}
                http = await stack.enter_async_context(httpx2.AsyncClient(headers=sent, timeout=20))
                transport = streamable_http_client(url, http_client=http)
                return await stack.enter_async_context(Client(transport, mode=mode, message_handler=hears(token)))

            bot, clerk = [await connected(token, "legacy") for token in (BOT, CLERK)]
            modern = await connected(BOT, "auto")
            for what in ("tools", "resources", "prompts"):
                assert getattr(bot.server_capabilities, what).list_changed is True
            with anyio.fail_after(20):
                async with modern.listen(tools_list_changed=True) as events:
                    for client in (bot, clerk):
                        await client.list_tools()
                    while not all(set(names) >= _ANNOUNCED for names in heard.values()):
                        await bot.call_tool("shop_refund", {"invoice": "announce"})
                        await anyio.lowlevel.checkpoint()
                    event = await anext(aiter(events))
    assert type(event).__name__ == "ToolsListChanged"
