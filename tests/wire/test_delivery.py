"""Whose answer counts as arrived, over a bare socket (semantics.md I-15)."""

from __future__ import annotations

import socket
import threading

import pytest
from starlette.types import Receive, Scope, Send

from gateway.wire.exchange import EXCHANGE
from gateway.wire.http_front import FrontSettings
from tests.services import eventually
from tests.serving import fronted, running
from tests.shop import Shop
from tests.wire.raw import MODERN, call_body, exchange, request


def test_a_good_call_is_served_and_counts_as_delivered(gateway: Shop, port: int) -> None:
    """I-15: the answer was handed over whole, and its action is reported once."""
    status, _, answer = exchange(port, request(call_body()))
    assert status == 200
    action_id = answer["result"]["structuredContent"]["action_id"]
    eventually(lambda: gateway.delivered_ids == [action_id], "the delivery to be told")


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
@pytest.mark.parametrize("reset", [True, False])
def test_a_client_that_vanished_never_counts_as_served(gateway: Shop, port: int, era: str, reset: bool) -> None:
    """I-15: it hung up while the call ran, by reset or by close; the answer went nowhere and is not delivered."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(request(call_body("slow", era=era), era=era))
        assert gateway.arrived.wait(10)
    gateway.proceed.set()
    assert exchange(port, request(call_body("refused")))[0] == 200
    eventually(lambda: gateway.delivered_ids, "the delivery to be told")
    assert gateway.delivered_ids == ["act_" + "5" * 32]


@pytest.mark.parametrize("era", [MODERN, "2025-06-18"])
def test_a_client_that_closes_right_after_its_answer_counts_as_served(gateway: Shop, port: int, era: str) -> None:
    """I-15: the answer was whole; that the stream had no proper end yet does not matter."""
    for _ in range(20):
        gateway.delivered_ids.clear()
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request(call_body("refused", era=era), era=era))
            data = b""
            while b"act_" + b"5" * 32 + b'","code' not in data.replace(b"\\", b""):
                data += connection.recv(65_536)
        eventually(lambda: gateway.delivered_ids == ["act_" + "5" * 32], "the delivery to be told")


@pytest.mark.parametrize("noticed", [True, False])
def test_an_answer_sent_into_a_closed_connection_is_not_delivered(gateway: Shop, noticed: bool) -> None:
    """I-15: whether the hang-up was already noticed, or still waits in the socket when the answer is sent."""
    began, hung_up, sent = threading.Event(), threading.Event(), threading.Event()

    async def deaf(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return
        scope["state"][EXCHANGE].answered.append("act_1")
        began.set()
        if noticed:
            while (await receive())["type"] != "http.disconnect":
                pass
        else:
            # On purpose: the loop itself is blocked, so that it cannot have seen the close.
            assert hung_up.wait(10)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"act_1"})
        sent.set()

    with running(fronted(gateway, deaf, FrontSettings())) as port:
        with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
            connection.sendall(request(call_body()))
            assert began.wait(10)
        hung_up.set()
        assert sent.wait(10)
    assert gateway.delivered_ids == []
