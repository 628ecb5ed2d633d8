"""A gateway that stops while clients wait for news: it lets them go, and does not wait with them."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack

import httpx
import pytest

from gateway.model import HoldState
from tests.acme import Acme
from tests.gate import Gate, gate, message
from tests.house import Clock, House
from tests.place import Place, held

pytestmark = pytest.mark.anyio


def legacy(gateway: Gate, http: httpx.Client) -> tuple[str, dict[str, str], bytes]:
    """The event stream of a session."""
    headers = {
        "authorization": f"Bearer {gateway.place.keys['bot']}",
        "accept": "application/json, text/event-stream",
        "content-type": "application/json",
    }
    client = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "waiting", "version": "1"}}
    opening = {"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": client}
    opened = http.post(gateway.url, headers=headers, content=json.dumps(opening))
    named = {"mcp-session-id": opened.headers["mcp-session-id"], "mcp-protocol-version": "2025-11-25"}
    return "GET", {**headers, **named, "accept": "text/event-stream"}, b""


def modern(gateway: Gate, http: httpx.Client) -> tuple[str, dict[str, str], bytes]:
    """The stream that answers `subscriptions/listen`."""
    params = {"notifications": {"toolsListChanged": True}}
    headers, body = message("subscriptions/listen", params, name=None, key=gateway.place.keys["bot"])
    return "POST", headers, body


@pytest.mark.parametrize("waiting", [legacy, modern])
def test_who_waits_for_news_does_not_hold_up_a_stop(place: Place, waiting: object) -> None:
    """The streams of both eras end in order: the server has to cut none off, which it would log as an error."""
    assert callable(waiting)
    place.write_settings(listen={"port": place.port, "sessions": True})
    with gate(place) as gateway, httpx.Client(trust_env=False, timeout=20) as http, ExitStack() as streams:
        verb, headers, body = waiting(gateway, http)
        stream = streams.enter_context(http.stream(verb, gateway.url, headers=headers, content=body))
        assert stream.headers["content-type"].startswith("text/event-stream")
        assert gateway.stop() == 0
        assert b"error" not in b"".join(stream.iter_bytes())
        assert '"level": "error"' not in gateway.log.read_text()
        assert "without completing" not in gateway.log.read_text()


async def test_a_gateway_that_stops_begins_nothing_new(place: Place, acme: Acme) -> None:
    """I-9: what is approved while it waits for a call is left to the next start: it would be cut off in the middle."""
    place.write_policy(held("looked_pay_out"))
    refund = {"invoice": "inv_1001", "cents": 500}
    gateway = House(place, Clock())
    await gateway.app.start()
    asked = await gateway.call("looked_pay_out", refund)
    acme.fault("wait_for_release", "before", method="POST")
    pending = asyncio.create_task(gateway.call("plain_refund", refund))
    await asyncio.to_thread(acme.wait_for_parked)
    stopping = asyncio.create_task(gateway.app.stop())
    await gateway.vote(asked["action_id"], "fay")
    done, _ = await asyncio.wait({stopping}, timeout=1)
    assert not done, "it waits for the call"
    acme.release()
    assert (await pending)["status"] == "done"
    await stopping
    assert place.hold(asked["action_id"]).state is HoldState.APPROVED
    assert len(acme.mutating()) == 1
