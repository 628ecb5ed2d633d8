"""Acme, driven over HTTP as a process of its own: it must be as strict, and as nasty, as a real upstream."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acme import API_KEY, Acme, running_acme

REFUND = {"cents": 1_600, "reason": "not_received", "reference": "act-1"}
PATH = "/invoices/inv_1001/refunds"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {API_KEY}"}])
def test_a_request_without_a_known_key_is_refused_and_witnessed(acme: Acme, headers: dict[str, str]) -> None:
    """Any request without a valid bearer key gets 401, changes nothing, and is in the journal all the same."""
    answer = httpx.post(f"{acme.url}{PATH}", json=REFUND, headers=headers, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["code"]) == (401, "unauthorized")
    [entry] = acme.journal()
    assert (entry["status"], entry["mutating"], entry["committed"]) == (401, True, False)
    assert acme.refunded() == 0


def test_the_story_can_be_told(acme: Acme) -> None:
    """The seeded data holds what the demo needs: an order, its paid invoice of 64.00 USD, a customer, a ticket."""
    order = acme.client.get("/orders/ord_1001").json()
    assert (order["customer"], order["invoice"], order["total_cents"]) == ("cus_ada", "inv_1001", 6_400)
    invoice = acme.client.get("/invoices/inv_1001").json()
    assert (invoice["status"], invoice["balance_cents"], invoice["currency"]) == ("paid", 6_400, "USD")
    found = acme.client.get("/customers", params={"email": "ADA@lindqvist.example"}).json()["customers"]
    assert [customer["id"] for customer in found] == ["cus_ada"]
    assert acme.client.get("/tickets/tic_2001").json()["messages"][0]["author"] == "customer"


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/orders/ord_9", None, 404, "no_such_order"),
        ("GET", "/nowhere", None, 404, "no_such_resource"),
        ("DELETE", "/orders/ord_1001", None, 405, "method_not_allowed"),
        ("GET", "/refunds", None, 422, "missing_parameter"),
        ("POST", PATH, {**REFUND, "cents": 6_401}, 409, "above_balance"),
        ("POST", "/invoices/inv_1005/refunds", REFUND, 409, "above_balance"),
        ("POST", PATH, {**REFUND, "cents": 0}, 422, "invalid_body"),
        ("POST", PATH, {**REFUND, "cents": "1"}, 422, "invalid_body"),
        ("POST", PATH, {**REFUND, "extra": 1}, 422, "invalid_body"),
        ("POST", "/tickets/tic_2004/replies", {"text": "Hello"}, 409, "ticket_closed"),
        ("PATCH", "/customers/cus_ada", {"email": "mei@tanaka.example"}, 409, "email_taken"),
    ],
)
def test_a_wrong_request_is_told_what_is_wrong(
    acme: Acme, method: str, path: str, body: dict[str, Any] | None, status: int, code: str
) -> None:
    """A caller's mistake gets its own status, a code and a sentence, and commits nothing."""
    answer = acme.client.request(method, path, json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert answer.json()["error"]["message"]
    assert not any(entry["committed"] for entry in acme.journal())


def test_an_idempotency_key_refunds_once(acme: Acme) -> None:
    """The same key and body is answered from the first; another body under it is 422; without a key it pays again."""
    key = {"Idempotency-Key": "key-1"}
    first = acme.client.post(PATH, json=REFUND, headers=key)
    again = acme.client.post(PATH, json=REFUND, headers=key)
    other = acme.client.post(PATH, json={**REFUND, "cents": 1}, headers=key)
    assert first.status_code == again.status_code == 201
    assert first.json() == again.json()
    assert (other.status_code, other.json()["error"]["code"]) == (422, "idempotency_key_reused")
    assert [entry["committed"] for entry in acme.mutating()] == [True, False, False]
    assert [entry["idempotency_key"] for entry in acme.mutating()] == ["key-1"] * 3
    assert acme.refunded() == 1_600
    acme.client.post(PATH, json=REFUND)
    assert acme.refunded() == 3_200


def test_a_refused_refund_does_not_use_up_its_key(acme: Acme) -> None:
    """Only an answer that changed something is stored under an idempotency key."""
    key = {"Idempotency-Key": "key-1"}
    assert acme.client.post(PATH, json={**REFUND, "cents": 9_999}, headers=key).status_code == 409
    assert acme.client.post(PATH, json=REFUND, headers=key).status_code == 201


def test_a_refund_is_found_by_its_reference(acme: Acme) -> None:
    """A refund carries the caller's reference, so that a lost answer can be looked up (semantics.md I-11)."""
    made = acme.client.post(PATH, json=REFUND).json()
    assert acme.client.get("/refunds", params={"reference": "act-1"}).json()["refunds"] == [made]
    assert acme.client.get("/refunds", params={"reference": "act-2"}).json()["refunds"] == []


def test_tickets_do_not_deduplicate(acme: Acme) -> None:
    """A ticket takes the same reply twice, key or not: only the gateway can stop the second one."""
    for _ in range(2):
        headers = {"Idempotency-Key": "key-1"}
        acme.client.post("/tickets/tic_2001/replies", json={"text": "Hi", "reference": "act-1"}, headers=headers)
    found = acme.client.get("/tickets/tic_2001/replies", params={"reference": "act-1"}).json()["replies"]
    assert len(found) == 2
    assert acme.client.get("/tickets/tic_2001").json()["status"] == "waiting"


def test_an_edit_needs_the_version_it_names(acme: Acme) -> None:
    """A customer has an ETag, in the header and in the JSON; If-Match with an older one is 412 and changes nothing."""
    read = acme.client.get("/customers/cus_ada")
    assert read.headers["etag"] == read.json()["etag"]
    headers = {"If-Match": read.json()["etag"]}
    edited = acme.client.patch("/customers/cus_ada", json={"phone": "+46 1"}, headers=headers)
    assert edited.status_code == 200
    assert edited.json()["etag"] not in (None, read.json()["etag"])
    late = acme.client.patch("/customers/cus_ada", json={"phone": "+46 2"}, headers=headers)
    assert (late.status_code, late.json()["error"]["code"]) == (412, "precondition_failed")
    assert acme.client.get("/customers/cus_ada").json()["phone"] == "+46 1"


def test_the_journal_is_written_before_anything_is_done(acme: Acme) -> None:
    """An arrival is in the journal while its handler has not acted yet, without status and uncommitted."""
    acme.fault("wait_for_release", "before", method="POST")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(acme.client.post, PATH, json=REFUND)
        acme.wait_for_parked()
        [entry] = acme.journal(at_least=1)
        assert (entry["status"], entry["committed"], entry["body"]) == (None, False, REFUND)
        assert acme.refunded() == 0
        assert acme.release() == 1
        assert waiting.result(timeout=10).status_code == 201
    assert acme.mutating()[0]["committed"]


def test_the_journal_holds_no_credential(acme: Acme) -> None:
    """The journal names the headers that came and keeps no value of theirs but the idempotency key."""
    acme.client.get("/orders/ord_1001")
    assert "authorization" in acme.journal()[0]["header_names"]
    for file in (acme.folder / "data").iterdir():
        assert API_KEY.encode() not in file.read_bytes()


def test_a_cleared_journal_counts_on(acme: Acme) -> None:
    """Clearing forgets the arrivals, and numbers are never used twice."""
    acme.client.get("/orders/ord_1001")
    acme.forget()
    assert acme.journal() == []
    acme.client.get("/orders/ord_1001")
    assert [entry["seq"] for entry in acme.journal()] == [2]


def test_the_levers_are_out_of_reach_unless_asked_for(tmp_path: Path) -> None:
    """Without `--control` there is no journal to read, and a foreign host name never reaches it."""
    with running_acme(tmp_path / "acme") as acme:
        assert httpx.get(f"{acme.url}/_control/journal", trust_env=False).status_code == 404
    with running_acme(tmp_path / "acme", "--control") as acme:
        rebound = httpx.get(f"{acme.url}/_control/journal", headers={"Host": "evil.example"}, trust_env=False)
        assert rebound.status_code == 400


def test_starting_over_brings_back_the_first_day(acme: Acme) -> None:
    """A start over undoes every change and stored answer, clears the journal, and ends all faults."""
    key = {"Idempotency-Key": "key-1"}
    first = acme.client.post(PATH, json=REFUND, headers=key).json()
    acme.fault("fail_before", 500, times=None)
    acme.start_over()
    assert acme.journal() == []
    assert acme.refunded() == 0
    again = acme.client.post(PATH, json={**REFUND, "cents": 1}, headers=key)
    assert (again.status_code, again.json()["id"]) == (201, first["id"])


def test_a_killed_acme_finds_everything_again(tmp_path: Path) -> None:
    """After kill -9 with a request in hand, records, stored answers and the journal are as they were."""
    key = {"Idempotency-Key": "key-1"}
    with running_acme(tmp_path / "acme", "--control") as acme, ThreadPoolExecutor() as threads:
        made = acme.client.post(PATH, json=REFUND, headers=key).json()
        acme.fault("wait_for_release", "after", method="POST")
        second = {**REFUND, "reference": "act-2"}
        lost = threads.submit(httpx.post, f"{acme.url}{PATH}", json=second, headers=acme.client.headers, timeout=15)
        acme.wait_for_parked()
        assert acme.stop(kill=True) == -signal.SIGKILL
        with pytest.raises(httpx.TransportError):
            lost.result(timeout=10)
    with running_acme(tmp_path / "acme", "--control") as acme:
        assert [(entry["status"], entry["committed"]) for entry in acme.journal()] == [(201, True), (None, True)]
        assert acme.client.post(PATH, json=REFUND, headers=key).json() == made
        assert acme.refunded() == 3_200


def test_acme_ends_with_its_parent(tmp_path: Path) -> None:
    """With `--parent-watch` a closed stdin stops the process in order."""
    with running_acme(tmp_path / "acme") as acme:
        assert acme.stop() == 0


def test_a_start_that_cannot_be_says_why(acme: Acme, tmp_path: Path) -> None:
    """A taken port and an empty key file each give one sentence on stderr and exit code 1."""
    port, keys = acme.url.rpartition(":")[2], tmp_path / "keys"
    keys.write_text("\n")
    for taken, file in ((port, acme.folder / "api-key"), ("0", keys)):
        options = ["--port", taken, "--api-key-file", str(file), "--data", str(tmp_path / "other")]
        command = [sys.executable, "-m", "gateway.demo.acme", *options]
        ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert ended.stderr.startswith("Acme cannot start: ")
        assert len(ended.stderr.splitlines()) == 1


def test_the_mark_and_the_deed_are_one(acme: Acme) -> None:
    """Every refund after the seed has exactly one journal line marked committed, read from the file itself."""
    for cents in (100, 200, 99_999):
        acme.client.post(PATH, json={**REFUND, "cents": cents})
    database = sqlite3.connect(acme.folder / "data" / "acme.db")
    try:
        [made] = database.execute("SELECT count(*) FROM refunds WHERE reference = 'act-1'").fetchone()
        [marked] = database.execute("SELECT count(*) FROM journal WHERE committed").fetchone()
    finally:
        database.close()
    assert made == marked == 2
