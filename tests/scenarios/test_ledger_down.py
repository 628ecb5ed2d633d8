"""When nothing can be written down, nothing happens (semantics.md L-1, S35)."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from gateway.ledger_line import Event
from gateway.model import Call
from gateway.store.opening import copy
from tests.acme import Acme
from tests.gate import Gate, request
from tests.house import house
from tests.place import REFUND, ROOT, Place


def bound_files(gateway: Gate, size: int) -> None:
    """Let no file of the gateway process grow beyond `size` bytes: to a process, a disk that is full."""
    assert gateway.process is not None
    resource.prlimit(gateway.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def test_a_full_disk_lets_nothing_out(running: Gate, acme: Acme) -> None:
    """S35, L-1: without room every call is `ledger_unavailable` and nothing arrives; with room it recovers."""
    before = running.call("plain_refund", REFUND)
    assert before["status"] == "done"
    acme.forget()
    bound_files(running, 4_096)
    for tool, args in (("plain_refund", {**REFUND, "cents": 1}), ("plain_invoice", {"invoice": "inv_1001"})):
        answer = running.call(tool, args)
        assert (answer["status"], answer["code"], answer["retry"]) == ("failed", "ledger_unavailable", "later")
        assert answer["message"] in (
            "The disk is full: actions cannot be recorded.",
            "The disk reported an error.",
        )
    refused = running.call("plain_refund", {"invoice": "no"})
    assert refused["code"] == "ledger_unavailable", "refusals are on the ledger too"
    assert httpx.get(running.url.replace("/mcp", "/readyz"), trust_env=False).status_code == 503
    assert acme.journal() == []
    bound_files(running, resource.RLIM_INFINITY)
    assert running.call("plain_refund", {**REFUND, "cents": 1})["status"] == "done"
    assert running.call("plain_refund", REFUND)["status"] == "replayed"
    assert len(acme.mutating()) == 1
    assert running.place.verify().verdict == 0


def test_a_disk_that_fills_up_during_the_call_leaves_it_unknown(running: Gate, acme: Acme) -> None:
    """L-1, I-8: the outcome of a sent write that cannot be recorded is `unknown` to its caller, and stays so."""
    acme.fault("wait_for_release", "after", method="POST")
    with ThreadPoolExecutor(1) as caller:
        pending = caller.submit(running.call, "plain_refund", REFUND)
        acme.wait_for_parked()
        bound_files(running, 4_096)
        acme.release()
        answer = pending.result(20)
    assert (answer["status"], answer["code"], answer["retry"]) == ("unknown", "outcome_unknown", "no")
    bound_files(running, resource.RLIM_INFINITY)
    running.restart()
    assert running.call("plain_refund", REFUND)["code"] == "outcome_unknown"
    assert len(acme.mutating()) == 1
    (intent,) = running.place.lines(event=Event.INTENT)
    assert running.place.verify().unknown == [intent["action"]]  # V-4


def test_json_that_is_not_sound_reaches_no_tool(running: Gate, acme: Acme) -> None:
    """S40, T-4: deep, huge, doubled and not-a-number JSON is refused at the door, and the next call is served."""
    headers, body = request("plain_refund", REFUND, key=running.place.keys["bot"])
    arguments = b'{"invoice": "inv_1001", "cents": 500}'
    assert arguments in body
    bad = (
        b'{"invoice": "inv_1001", "cents": 500, "cents": 1}',
        b'{"invoice": "inv_1001", "cents": NaN}',
        b'{"invoice": "\\ud800", "cents": 500}',
        b'{"invoice": ' + b"[" * 64 + b"]" * 64 + b"}",
        b'{"invoice": "' + b"x" * 1_100_000 + b'"}',
    )
    for attempt in bad:
        answer = httpx.post(
            running.url, headers=headers, content=body.replace(arguments, attempt), trust_env=False, timeout=20
        )
        assert answer.status_code in (400, 413)
        assert "error" in answer.json()
    large = running.call("plain_refund", {**REFUND, "cents": 10**30})
    assert (large["code"], "`cents`" in large["message"]) == ("invalid_arguments", True)
    assert acme.journal() == []
    assert running.call("plain_refund", REFUND)["status"] == "done"


def test_stdio_refuses_what_http_refuses(place: Place, acme: Acme) -> None:
    """S40, T-4: over stdio a line that is not sound JSON is answered with an error, and the next call is served."""
    command = [*place.holdgate, "serve", "--stdio"]
    _, body = request("plain_refund", REFUND, key="")
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as gateway:
        assert gateway.stdin is not None
        assert gateway.stdout is not None
        bad = (
            (body.replace(b"500", b"NaN"), json.loads(body)["id"]),
            (body.replace(b'"cents"', b'"cents": 1, "cents"'), json.loads(body)["id"]),
            (b"[" * 64 + b"]" * 64, None),
        )
        for line, id in bad:
            gateway.stdin.write(line + b"\n")
            gateway.stdin.flush()
            answer = json.loads(gateway.stdout.readline())
            assert (answer["id"], answer["error"]["code"]) == (id, -32700)
        assert acme.journal() == []
        gateway.stdin.write(body + b"\n")
        gateway.stdin.flush()
        assert json.loads(gateway.stdout.readline())["result"]["structuredContent"]["status"] == "done"
        gateway.stdin.close()
        assert gateway.wait(20) == 0
    assert len(acme.mutating()) == 1


@pytest.mark.parametrize("put_back", ["a back-up", "nothing"])
@pytest.mark.anyio
async def test_a_database_that_is_replaced_under_a_running_gateway_stops_it(
    place: Place, acme: Acme, put_back: str
) -> None:
    """L-1: what it would record nobody would find again, and no `kill` would reach it."""
    database, aside = place.home.database, place.folder / "aside"
    aside.mkdir()
    copy(database, place.folder / "monday.db")
    async with house(place) as gateway:
        caller = await gateway.app.api_keys.authenticate(place.keys["bot"])
        assert caller is not None
        assert (await gateway.app.handle(Call(caller, "plain_refund", REFUND))).status == "done"
        for file in database.parent.glob("holdgate.db*"):
            file.rename(aside / file.name)
        if put_back == "a back-up":
            shutil.copy(place.folder / "monday.db", database)
        gateway.app.store.changed()  # which the gateway asks four times a second
        another = Call(caller, "plain_refund", {**REFUND, "cents": 1})
        refused = await gateway.app.handle(another)
        assert (refused.code, "replaced" in refused.message) == ("ledger_unavailable", True)
        assert not await gateway.app.ready()
        for file in aside.iterdir():
            file.replace(database.parent / file.name)
        gateway.app.store.changed()
        assert (await gateway.app.handle(another)).status == "done"
    assert len(acme.mutating()) == 2
    assert place.verify().verdict == 0
