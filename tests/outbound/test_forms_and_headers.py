"""Forms, logins and headers: what APIs ask for that is neither JSON nor a token (semantics.md C-5, C-6, C-8)."""

from __future__ import annotations

import traceback
from enum import Enum, IntEnum
from typing import Any
from urllib.parse import quote, unquote

import pytest

from gateway.connector import Fetched
from gateway.errors import CredentialUnavailable
from gateway.testing.secrecy import MemoryVault
from tests.doorway import CANARY, REFERENCE, doorway, failure
from tests.misbehaving import reply, say, wire

pytestmark = pytest.mark.anyio


async def test_a_user_and_a_password_are_presented_as_basic() -> None:
    """RFC 7617; C-6: the password alone is taken out of answers, too."""
    vault = MemoryVault({REFERENCE: "robot@shop.example/token:s3cret-of-the-desk"})
    said = reply(200, '{"user":"robot@shop.example/token","was":"s3cret-of-the-desk"}')
    async with wire(said) as upstream, doorway(upstream.port, auth="basic", vault=vault) as at:
        assert await at.read().get("/me") == {"user": "robot@shop.example/token", "was": "[redacted]"}
        sent = upstream.arrivals[0].headers["authorization"]
        assert sent == "Basic cm9ib3RAc2hvcC5leGFtcGxlL3Rva2VuOnMzY3JldC1vZi10aGUtZGVzaw=="


@pytest.mark.parametrize("password", ["", "X"])
async def test_a_key_that_is_presented_as_the_user_is_taken_out_of_answers(password: str) -> None:
    """C-6: where the password is nothing or a letter, the user is the secret."""
    vault = MemoryVault({REFERENCE: f"sk_live_51Kx7vQ2Zsw9:{password}"})
    async with (
        wire(reply(200, '{"was":"sk_live_51Kx7vQ2Zsw9","grade":"X"}')) as upstream,
        doorway(upstream.port, auth="basic", vault=vault) as at,
    ):
        assert await at.read().get("/me") == {"was": "[redacted]", "grade": "X"}
        assert any("upstream_echoed_credential" in line for line in at.logged)


async def test_what_is_no_user_and_password_is_not_sent_as_basic() -> None:
    """C-5: it is refused by its reference, and shown nowhere."""
    async with wire() as upstream, doorway(upstream.port, auth="basic") as at:
        with pytest.raises(CredentialUnavailable, match=r"kv/shop/orders#token is not `user:password`") as caught:
            await at.read().get("/me")
        assert upstream.arrivals == []
        assert CANARY not in "".join(
            traceback.TracebackException.from_exception(caught.value, capture_locals=True).format()
        )


async def test_a_connector_may_have_headers_that_go_with_every_request() -> None:
    """Versions and tenants: the same on reads and writes, and beside what the gateway sets itself."""
    headers = {"Stripe-Version": "2026-10-29.basil", "X-Tenant": "acme"}
    async with wire() as upstream, doorway(upstream.port, headers=headers) as at:
        await at.read().get("/orders")
        await at.write().post("/orders")
        for arrival in upstream.arrivals:
            assert arrival.headers["stripe-version"] == "2026-10-29.basil"
            assert arrival.headers["x-tenant"] == "acme"
            assert arrival.headers["authorization"] == f"Bearer {CANARY}"


@pytest.mark.parametrize(("verb", "sent"), [("put", {"form": {"n": 1}}), ("patch", {"form": {"n": 1}}), ("delete", {})])
async def test_a_write_may_insist_on_the_etag_that_a_fetch_has_shown(verb: str, sent: dict[str, Any]) -> None:
    """So the upstream refuses what has changed in between."""
    async with wire(reply(200, "{}", headers={"ETag": '"7"'}), reply()) as upstream, doorway(upstream.port) as at:
        mine = at.write()
        shown = await mine.fetch("/orders/1")
        await getattr(mine, verb)("/orders/1", if_match=shown.etag, **sent)
        assert upstream.arrivals[1].headers["if-match"] == '"7"'


@pytest.mark.parametrize("verb", ["post", "put", "patch"])
async def test_a_write_may_send_a_form(verb: str) -> None:
    """As APIs of payments want it: each field once, everything in it encoded."""
    async with wire() as upstream, doorway(upstream.port) as at:
        form = {"amount": 700, "capture": True, "metadata[order]": "a b&c=d/é"}
        await getattr(at.write(), verb)("/refunds", form=form)
        (arrival,) = upstream.arrivals
        assert arrival.headers["content-type"] == "application/x-www-form-urlencoded"
        assert arrival.body == b"amount=700&capture=true&metadata%5Border%5D=a%20b%26c%3Dd%2F%C3%A9"


class Reason(str, Enum):  # noqa: UP042 - as many connectors are written
    """Of a refund."""

    FRAUD = "fraud"


class Priority(IntEnum):
    """Of a ticket."""

    HIGH = 3


async def test_an_enum_is_sent_by_its_value_in_a_form_and_a_query_as_in_json() -> None:
    """Python spells the first one `Reason.FRAUD`."""
    fields = {"reason": Reason.FRAUD, "priority": Priority.HIGH}
    async with wire() as upstream, doorway(upstream.port) as at:
        await at.write().post("/refunds", form=fields)
        await at.write().post("/refunds", fields)
        await at.read().get("/refunds", fields)
        form, body, query = upstream.arrivals
        assert form.body == b"reason=fraud&priority=3"
        assert body.body == b'{"reason":"fraud","priority":3}'
        assert query.target == "/v1/refunds?reason=fraud&priority=3"


@pytest.mark.parametrize("form", [{"n": 1.5}, {"n": None}, {"n": ["a"]}, {"n": "\ud800"}])
async def test_a_form_that_has_no_one_spelling_does_not_leave(form: dict[str, Any]) -> None:
    """C-8: refused before anything is sent."""
    async with wire() as upstream, doorway(upstream.port) as at:
        error = await failure(at.write().post("/refunds", form=form))
        assert (error.code, error.sent) == ("egress_blocked", False)
        assert upstream.arrivals == []


async def test_a_request_has_one_body() -> None:
    """Which of two was meant nobody could say."""
    async with wire() as upstream, doorway(upstream.port) as at:
        with pytest.raises(TypeError, match="not both"):
            await at.write().post("/refunds", {"amount": 1}, form={"amount": 2})
        assert upstream.arrivals == []


async def test_a_fetch_shows_the_etag_and_where_the_next_page_is() -> None:
    """What many APIs say in headers only. The next page is a query: no upstream chooses where we go (C-8)."""
    link = '<https://elsewhere.example/v1/orders?after=a%20b&n=2>; rel="next", <https://x.example/?n=9>; rel="last"'
    said = reply(200, "[1]", headers={"ETag": 'W/"7"', "Link": link})
    async with wire(said, reply(200, "[2]")) as upstream, doorway(upstream.port) as at:
        first = await at.read().fetch("/orders")
        assert first == Fetched([1], 'W/"7"', {"after": "a b", "n": "2"})
        assert await at.read().fetch("/orders", first.next) == Fetched([2], None, None)
        assert upstream.arrivals[1].target == "/v1/orders?after=a%20b&n=2"
        assert upstream.arrivals[1].headers["accept"] == "application/json"


@pytest.mark.parametrize("name", ["ETag", "Link"])
async def test_a_header_that_is_wanted_is_text_and_holds_no_credential(name: str) -> None:
    """S31: what connectors are shown of an answer is cleaned, whichever part of it it is."""
    echo = f'<https://x.example/?t={quote(CANARY, safe="")}>; rel="next"'
    odd = '<https://x.example/?t=\xff>; rel="next"'
    async with (
        wire(reply(200, "{}", headers={name: echo}), reply(200, "{}", headers={name: odd})) as upstream,
        doorway(upstream.port) as at,
    ):
        fetched = await at.read().fetch("/orders")
        assert CANARY not in unquote(repr(fetched))
        assert "[redacted]" in repr(fetched)
        assert any("upstream_echoed_credential" in line for line in at.logged)
        error = await failure(at.read().fetch("/orders"))
        assert (error.code, error.effect) == ("upstream_bad_answer", "none")


async def test_the_next_page_is_found_in_whichever_line_of_the_header_it_is() -> None:
    """RFC 9110: a list may be split over several lines; the last page must not seem to be reached before it is."""
    lines = b'Link: <https://x.example/?n=1>; rel="prev"\r\nLink: <https://x.example/?n=3>; rel="next"\r\n'
    async with (
        wire(say(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n" + lines + b"\r\n[]")) as upstream,
        doorway(upstream.port) as at,
    ):
        assert await at.read().fetch("/orders") == Fetched([], None, {"n": "3"})


@pytest.mark.parametrize("link", ['<http://[x>; rel="next"', '</page/2>; rel="next"', '</?a=1&a=2>; rel="next"', "x"])
async def test_a_next_page_that_cannot_be_asked_for_is_told_and_not_taken_for_the_last(link: str) -> None:
    """I-7: an answer that cannot be read, and nothing of it in the message; `get` still reads its body."""
    async with wire(reply(200, "[]", headers={"Link": link})) as upstream, doorway(upstream.port) as at:
        error = await failure(at.read().fetch("/orders"))
        assert (error.code, error.effect) == ("upstream_bad_answer", "none")
        assert "its `Link` " in str(error)
        assert link not in str(error)
        assert await at.read().get("/orders") == []
