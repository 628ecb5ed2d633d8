"""Acme's bad days: each fault does what its name says, and the books and the journal stay true."""

from __future__ import annotations

import gzip
import json
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.acme import API_KEY, Acme

REFUND = {"cents": 1_600, "reason": "not_received", "reference": "act-1"}
PATH = "/invoices/inv_1001/refunds"


@pytest.mark.parametrize(("fault", "commits"), [("fail_before", False), ("fail_after", True)])
def test_a_failure_may_come_before_or_after_the_deed(acme: Acme, fault: str, commits: bool) -> None:
    """A 503 says nothing: after one the refund may or may not have been made (semantics.md S11)."""
    acme.fault(fault, 503, path=PATH, method="POST")
    assert acme.client.post(PATH, json=REFUND).status_code == 503
    assert acme.mutating()[0]["committed"] is commits
    assert acme.refunded() == (1_600 if commits else 0)


@pytest.mark.parametrize(("fault", "commits"), [("drop_before", False), ("drop_after", True)])
def test_a_connection_may_be_cut_before_or_after_the_deed(acme: Acme, fault: str, commits: bool) -> None:
    """A cut connection gives no answer at all, and the process serves on (semantics.md S12)."""
    acme.fault(fault, path=PATH)
    with pytest.raises(httpx.RemoteProtocolError):
        acme.client.post(PATH, json=REFUND)
    [entry] = acme.mutating()
    assert (entry["status"], entry["committed"]) == (None, commits)
    assert acme.refunded() == (1_600 if commits else 0)


def test_a_slow_answer_can_be_let_go(acme: Acme) -> None:
    """Slow waits for its seconds or for a release, whichever comes first, and then answers truly."""
    acme.fault("slow", 600)
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(acme.client.get, "/orders/ord_1001")
        acme.wait_for_parked()
        acme.release()
        assert waiting.result(timeout=10).json()["id"] == "ord_1001"
    acme.fault("slow", 0.01)
    assert acme.client.get("/orders/ord_1001").status_code == 200


def test_a_request_can_be_kept_after_its_deed(acme: Acme) -> None:
    """`wait_for_release: after` has committed while its caller still waits (semantics.md S8)."""
    acme.fault("wait_for_release", "after", method="POST")
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(acme.client.post, PATH, json=REFUND)
        acme.wait_for_parked()
        assert acme.refunded() == 1_600
        assert not waiting.done()
        acme.release()
        assert waiting.result(timeout=10).status_code == 201


def test_a_redirect_does_nothing(acme: Acme) -> None:
    """A redirect on a write is a 307 to the given place, and nothing was committed (semantics.md S29)."""
    acme.fault("redirect", "http://127.0.0.1:1/elsewhere")
    answer = acme.client.post(PATH, json=REFUND)
    assert (answer.status_code, answer.headers["location"]) == (307, "http://127.0.0.1:1/elsewhere")
    assert not acme.mutating()[0]["committed"]


def test_an_echo_gives_the_credential_back_in_every_encoding(acme: Acme) -> None:
    """Echo puts the caller's own key into a field or an error message, raw and encoded (semantics.md C-6, S31)."""
    acme.fault("echo", "status", path="/orders/.*")
    echoed: str = acme.client.get("/orders/ord_1001").json()["status"]
    for form in (API_KEY, b64encode(API_KEY.encode()).decode(), quote(API_KEY, safe=""), "\\u0061\\u0063"):
        assert form in echoed
    acme.fault("echo_error", 422, path=PATH)
    error = acme.client.post(PATH, json=REFUND)
    assert (error.status_code, API_KEY in error.json()["error"]["message"]) == (422, True)
    assert not acme.mutating()[0]["committed"]


def test_garbage_comes_after_the_deed(acme: Acme) -> None:
    """Garbage is a 200 that is not JSON, and the refund was made (semantics.md I-7)."""
    acme.fault("garbage", method="POST")
    answer = acme.client.post(PATH, json=REFUND)
    assert answer.status_code == 200
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert acme.refunded() == 1_600


def test_an_answer_can_be_huge_on_the_wire_or_only_when_unpacked(acme: Acme) -> None:
    """Huge sends that many bytes; bomb sends few that inflate to as many (semantics.md C-8)."""
    acme.fault("huge", 100_000)
    assert len(acme.client.get("/orders/ord_1001").content) >= 100_000
    acme.fault("bomb", 1_000_000)
    with acme.client.stream("GET", "/orders/ord_1001") as answer:
        packed = b"".join(answer.iter_raw())
    assert len(packed) < 10_000
    assert len(gzip.decompress(packed)) >= 1_000_000


def test_a_fault_befalls_whom_it_names_as_often_as_it_says(acme: Acme) -> None:
    """A fault matches method and whole path, is used up after `times`, and waits its turn behind earlier ones."""
    acme.fault("fail_before", 500, method="GET", path="/orders/.*", times=2)
    acme.fault("fail_before", 502, path="/orders/.*", times=None)
    assert acme.client.get("/invoices/inv_1001").status_code == 200
    assert [acme.client.get("/orders/ord_1001").status_code for _ in range(4)] == [500, 500, 502, 502]


@pytest.mark.parametrize(
    "fault", [{"fault": "arson"}, {"fault": "slow"}, {"fault": "drop_after", "arg": 3}, {"fault": "slow", "path": "("}]
)
def test_a_fault_that_makes_no_sense_is_refused(acme: Acme, fault: dict[str, Any]) -> None:
    """An unknown fault, a missing or needless argument and a broken pattern are 422, and nothing befalls anyone."""
    answer = httpx.post(f"{acme.url}/_control/faults", json=fault, trust_env=False)
    assert answer.status_code == 422
    assert acme.client.get("/orders/ord_1001").status_code == 200
