"""Clients that leave in the middle: what they asked for goes on, is recorded, and is told to whoever asks again."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit

import pytest

from gateway.outcome import State
from tests.acme import Acme
from tests.gate import Gate, gate, request
from tests.house import house
from tests.place import REFUND, Place
from tests.services import eventually

pytestmark = pytest.mark.anyio


def sent(gateway: Gate, tool: str, args: dict[str, object]) -> socket.socket:
    """A call over a bare socket, whose answer nobody has read."""
    headers, body = request(tool, args, key=gateway.place.keys["bot"])
    where = urlsplit(gateway.url)
    assert where.port is not None
    connection = socket.create_connection((where.hostname, where.port), timeout=10)
    head = {"host": where.netloc, **headers, "content-length": str(len(body))}
    lines = [f"POST {where.path} HTTP/1.1", *(f"{name}: {value}" for name, value in head.items())]
    connection.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
    return connection


def test_a_call_goes_on_without_its_client(place: Place, acme: Acme) -> None:
    """S5, I-9, I-15: hung up mid-call, the outcome is recorded, and the repeat has it, whatever the window."""
    place.write_settings(limits={"repeat_window_seconds": 0})
    acme.fault("wait_for_release", "after", method="POST")
    with gate(place) as gateway:
        connection = sent(gateway, "plain_refund", REFUND)
        acme.wait_for_parked()
        connection.close()
        acme.release()
        (row,) = eventually(
            lambda: [row for row in place.actions() if row.state is State.SUCCEEDED], "the outcome to be recorded"
        )
        assert not row.delivered
        again = gateway.call("plain_refund", REFUND)
        assert (again["status"], again["action_id"], again["original_status"]) == ("replayed", row.id, "done")
        assert len(acme.mutating()) == 1
        eventually(lambda: place.action(row.id).delivered, "the answer to count as delivered")
        assert gateway.call("plain_refund", REFUND)["status"] == "done", "the window is 0, and the answer was had"
    assert len(acme.mutating()) == 2


def test_a_refusal_to_cancel_is_not_the_answer_that_was_lost(place: Place, acme: Acme) -> None:
    """I-15: who is told that it is too late to cancel was not given the answer, and has it from the next same call."""
    place.write_settings(limits={"repeat_window_seconds": 0})
    acme.fault("wait_for_release", "after", method="POST")
    with gate(place) as gateway:
        connection = sent(gateway, "plain_refund", REFUND)
        acme.wait_for_parked()
        connection.close()
        acme.release()
        (row,) = eventually(
            lambda: [row for row in place.actions() if row.state is State.SUCCEEDED], "the outcome to be recorded"
        )
        late = gateway.call("cancel_action", {"action_id": row.id})
        assert (late["status"], late["code"], late["action_id"]) == ("refused", "not_cancellable", row.id)
        again = gateway.call("plain_refund", REFUND)
        assert (again["status"], again["action_id"]) == ("replayed", row.id)
    assert len(acme.mutating()) == 1


@pytest.mark.parametrize("turns", range(12))
async def test_whoever_leaves_does_not_stop_the_gateway(place: Place, acme: Acme, turns: int) -> None:
    """I-9: a caller cancelled at any point of its call leaves a gateway that answers everybody else."""
    async with house(place) as gateway:
        leaving = asyncio.create_task(gateway.call("plain_refund", REFUND))
        for _ in range(turns):
            await asyncio.sleep(0)
        leaving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await leaving
        told = await gateway.call("plain_refund", REFUND)
        assert told["status"] in ("done", "replayed")
    assert len(acme.mutating()) == 1


async def test_a_refused_caller_who_leaves_does_not_stop_the_ledger(place: Place, acme: Acme) -> None:
    """I-9, L-1: writes whose callers have gone are written, and the writer goes on."""
    async with house(place) as gateway:
        leaving = [asyncio.create_task(gateway.call("plain_refund", {"invoice": "no"})) for _ in range(20)]
        for _ in range(4):
            await asyncio.sleep(0)
        for task in leaving:
            task.cancel()
        await asyncio.gather(*leaving, return_exceptions=True)
        assert (await gateway.call("plain_refund", REFUND))["status"] == "done"
    assert len(acme.mutating()) == 1
