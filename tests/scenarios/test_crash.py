"""kill -9 where it hurts: before the intent, before the send, after the upstream acted (semantics.md I-8)."""

from __future__ import annotations

import asyncio
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from gateway.ledger_line import Event
from gateway.outcome import State
from gateway.testing.driver import PATIENCE
from tests.acme import Acme
from tests.gate import Answer, Gate, gate
from tests.house import Clock, house
from tests.place import REFUND, Place

pytestmark = pytest.mark.anyio


class SilentVault:
    """Accepts connections and never answers: who leases a credential there has an intent on disk, and sends nothing."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._connections: list[socket.socket] = []
        self._asked = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        self.settings = {
            "kind": "hashicorp",
            "auth": "token",
            "address": f"http://127.0.0.1:{self._listener.getsockname()[1]}",
            "timeout": 60.0,
        }

    def wait_until_asked(self) -> None:
        """Return once somebody wants a credential."""
        assert self._asked.wait(PATIENCE)

    def close(self) -> None:
        """Hang up on everybody."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(PATIENCE)
        for connection in self._connections:
            connection.close()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            self._asked.set()


@pytest.fixture
def silent_vault() -> Iterator[SilentVault]:
    vault = SilentVault()
    yield vault
    vault.close()


@contextmanager
def calling(gateway: Gate, tool: str, args: dict[str, object]) -> Iterator[None]:
    """A call under way in another thread, whose connection dies with the gateway."""

    def call() -> Answer | None:
        try:
            return gateway.call(tool, args)
        except httpx.TransportError:
            return None

    with ThreadPoolExecutor(1) as caller:
        pending = caller.submit(call)
        yield
        assert pending.result(PATIENCE) is None, "the call was answered before the gateway died"


@contextmanager
def written_by_somebody_else(place: Place) -> Iterator[None]:
    """The database's write lock, held by another process."""
    other = sqlite3.connect(place.home.database, isolation_level=None, timeout=PATIENCE)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_before_the_intent_nothing_happened(running: Gate, acme: Acme) -> None:
    """S6: killed while the intent waits for the disk: no action, no arrival, and the same call runs afterwards."""
    place = running.place
    running.call("plain_invoice", {"invoice": "inv_1001"})
    acme.forget()
    before = len(place.actions())
    with written_by_somebody_else(place), calling(running, "plain_refund", REFUND):
        # The writer is one queue: when readiness is not answered either, everything before it waits too.
        with pytest.raises(httpx.ReadTimeout):
            httpx.get(running.url.replace("/mcp", "/readyz"), timeout=0.5, trust_env=False)
        running.kill9()
    assert len(place.actions()) == before
    running.start()
    assert acme.journal() == []
    assert running.call("plain_refund", REFUND)["status"] == "done"
    assert len(acme.mutating()) == 1


def test_a_read_that_died_with_its_gateway_is_told_as_failed(running: Gate, acme: Acme) -> None:
    """I-8: killed while it read: FAILED, which says why and that the same call may be made again."""
    acme.fault("wait_for_release", "before", method="GET")
    with calling(running, "plain_invoice", {"invoice": "inv_1001"}):
        acme.wait_for_parked()
        running.kill9()
    acme.release()
    (row,) = running.place.actions()
    running.start()
    answer = running.settled(row.id)
    assert (answer["status"], answer["code"], answer["retry"]) == ("failed", "upstream_failed", "yes")
    assert "stopped" in answer["message"]


def test_between_intent_and_send_it_is_unknown_and_stays_so(
    place: Place, acme: Acme, silent_vault: SilentVault
) -> None:
    """S7, F-7: killed with the intent on disk and nothing sent: UNKNOWN, no arrival, and no sending again."""
    place.write_settings(vault=silent_vault.settings)
    with gate(place, VAULT_TOKEN="token") as gateway:
        with calling(gateway, "plain_refund", REFUND):
            silent_vault.wait_until_asked()
            gateway.kill9()
        (row,) = place.actions()
        assert row.state is State.DISPATCHING
        assert [line["action"] for line in place.lines(event=Event.INTENT)] == [row.id]
        place.write_settings()
        gateway.start()
        again = gateway.call("plain_refund", REFUND)
        assert (again["status"], again["code"], again["action_id"]) == ("unknown", "outcome_unknown", row.id)
        assert again["retry"] == "no"
        given = gateway.call("get_action", {"action_id": row.id})
        assert given["status"] == "unknown"
    assert acme.mutating() == []
    report = place.verify()
    assert (report.verdict, report.unknown) == (0, [row.id])  # V-4


def test_after_the_upstream_acted_the_lookup_tells(running: Gate, acme: Acme) -> None:
    """S8, I-11: killed when the upstream had acted: UNKNOWN, then found by its reference; one arrival."""
    acme.fault("wait_for_release", "after", method="POST")
    with calling(running, "looked_pay_out", REFUND):
        acme.wait_for_parked()
        running.kill9()
    acme.release()
    (row,) = running.place.actions()
    running.start()
    answer = running.settled(row.id)
    assert (answer["status"], answer["data"]["cents"]) == ("done", 500)
    assert len(acme.mutating()) == 1
    assert running.call("looked_pay_out", REFUND)["status"] == "replayed"
    (found,) = running.place.lines(event=Event.RECONCILE, action=row.id)[-1:]
    assert (found["how"], found["state"]) == ("lookup", "succeeded")


def test_an_upstream_that_deduplicates_is_asked_again(running: Gate, acme: Acme) -> None:
    """S9, I-8, I-10: killed as before, with an upstream key: sent again under the same key, and one effect."""
    acme.fault("wait_for_release", "after", method="POST")
    with calling(running, "keyed_pay_back", REFUND):
        acme.wait_for_parked()
        running.kill9()
    acme.release()
    (row,) = running.place.actions()
    running.start()
    assert running.settled(row.id)["status"] == "done"
    arrivals = acme.mutating()
    assert len(arrivals) == 2
    assert len({arrival["idempotency_key"] for arrival in arrivals}) == 1
    assert [arrival["committed"] for arrival in arrivals] == [True, False]
    assert running.call("plain_invoice", {"invoice": "inv_1001"})["data"]["balance_cents"] == 6_400 - 500


async def test_what_did_not_happen_is_known_only_after_a_while(place: Place, acme: Acme) -> None:
    """I-11: `not found` is believed after the consistency delay, and then the same call may run."""
    clock = Clock()
    acme.fault("drop_before", method="POST")
    async with house(place, clock) as gateway:
        lost = await gateway.call("looked_pay_out", REFUND)
        assert lost["status"] == "unknown"
        clock.turn(2.5)
        await gateway.sweep()
        assert await gateway.state(lost["action_id"]) is State.UNKNOWN, "the record may not have settled yet"
        for _ in range(4):
            clock.turn(60)
            await gateway.sweep()
        told = await gateway.ended(lost["action_id"])
        assert (told["status"], told["code"]) == ("failed", "upstream_failed")
        assert (await gateway.call("looked_pay_out", REFUND))["status"] == "done"
    assert [arrival["committed"] for arrival in acme.mutating()] == [False, True]


async def test_an_answer_that_comes_after_its_lease_is_accepted(place: Place, acme: Acme) -> None:
    """S10, I-8: a dispatch past its lease is UNKNOWN to everybody; its late answer settles it; one arrival."""
    clock = Clock()
    acme.fault("wait_for_release", "before", method="POST")
    async with house(place, clock) as slow, house(place, clock) as other:
        pending = asyncio.create_task(slow.call("plain_refund", REFUND))
        await asyncio.to_thread(acme.wait_for_parked)
        (row,) = await slow.app.store.read(lambda tx: tx.actions.dispatching())
        await other.app.reconciler.sweep()
        assert await other.state(row.id) is State.DISPATCHING, "its process is alive, and its lease runs"
        clock.turn(3_600)
        await other.app.reconciler.sweep()
        assert await other.state(row.id) is State.UNKNOWN
        acme.release()
        assert (await pending)["status"] == "done"
        assert await other.state(row.id) is State.SUCCEEDED
    assert len(acme.mutating()) == 1


def test_what_was_answered_was_recorded(running: Gate, acme: Acme) -> None:
    """S43, I-6: killed the moment a success was answered, the record is there, and the repeat is answered from it."""
    answer = running.call("plain_refund", REFUND)
    running.kill9()
    assert answer["status"] == "done"
    assert running.place.action(answer["action_id"]).state is State.SUCCEEDED
    running.start()
    again = running.call("plain_refund", REFUND)
    assert (again["status"], again["data"]) == ("replayed", answer["data"])
    assert len(acme.mutating()) == 1
    assert running.place.verify().verdict == 0  # V-5


async def test_an_old_sender_cannot_settle(place: Place, acme: Acme) -> None:
    """I-8: once an unknown write was taken up again, the fencing token of its first sending settles nothing."""
    acme.fault("drop_after", method="POST")
    async with house(place) as gateway:
        lost = await gateway.call("plain_refund", REFUND)
        action, store = lost["action_id"], gateway.app.store
        owner = gateway.app.instance.id
        lease = gateway.app.store.now() + 60_000
        assert await store.write(lambda tx: tx.actions.retake(action, instance=owner, lease_until=lease)) == 2
        assert not await store.write(lambda tx: tx.actions.settle(action, 1, State.FAILED, code=None))
        assert await gateway.state(action) is State.DISPATCHING
        assert await store.write(lambda tx: tx.actions.settle(action, 2, State.SUCCEEDED, code=None))
        assert not await store.write(lambda tx: tx.actions.settle(action, 2, State.FAILED, code=None))
        assert await gateway.state(action) is State.SUCCEEDED
