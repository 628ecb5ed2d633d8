"""`gateway.testing` as a connector's author uses it: one call through the real gateway, in a few lines."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import httpx
import pytest

from gateway.errors import StartupError
from gateway.model import HoldState
from gateway.testing import FakeUpstream, Fault, Harness, Request, Response, agent, human
from tests.testing.library import CREDENTIAL, LOAN, Library, keyed, looked, plain

pytestmark = pytest.mark.anyio

POLICY = """
policy: desk
applies_to: {groups: [desk]}
approval: {from: [librarians], count: 1, expires: 1h}
tools:
  plain_book: allow
  plain_lend: {max: {days: 30}, approve_over: {days: 20}, require: [reason]}
"""


async def test_a_call_goes_through_the_whole_gateway() -> None:
    """The credential reaches the upstream only, the ledger has an intent before the outcome, undeclared fields stay."""
    async with Harness(plain, upstream=Library()) as gate:
        read = await gate.call("plain_book", {"book": "b1"})
        assert (read.status, read.data) == ("done", {"id": "b1", "days": 0, "loans": 0})
        outcome = await gate.call("plain_lend", LOAN)
        assert (outcome.status, outcome.data) == ("done", {"loan": "l1"})
        assert [line["event"] for line in await gate.ledger(action_id=outcome.action_id)] == ["INTENT", "OUTCOME"]
        assert [(request.method, request.path) for request in gate.upstream.effects] == [("POST", "/books/b1/loans")]
        assert gate.upstream.effects[0].headers["authorization"] == f"Bearer {gate.secret}"
        assert any('"settled"' in line for line in gate.logs)


async def test_the_connector_under_test_is_left_as_it_was() -> None:
    """Two gateways may be around one connector, and its own address and tools are still those of its module."""
    tools = dict(plain.tools)
    async with Harness(plain, upstream=Library()) as one, Harness(plain, upstream=Library()) as other:
        await one.call("plain_lend", LOAN)
        assert (len(one.upstream.effects), len(other.upstream.effects)) == (1, 0)
    assert (plain.base_url, plain.internal, plain.tools) == ("https://library.example/api", False, tools)


async def test_the_policy_that_will_be_deployed_decides(tmp_path: Path) -> None:
    """A policy file is used as it is: its groups, limits, approvals and required reasons."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(POLICY)
    async with Harness(plain, upstream=Library(), policy=policy, as_=agent("desk-bot", "desk", owner="olga")) as gate:
        assert (await gate.call("plain_lend", LOAN)).code == "needs_reason"
        assert (await gate.call("plain_lend", {**LOAN, "reason": "Asked for.", "days": 31})).code == "not_permitted"
        assert (await gate.call("plain_lend", LOAN, as_=agent("guest", "guests"))).code == "unknown_tool"
        held = await gate.call("plain_lend", {**LOAN, "days": 21, "reason": "A long book."})
        assert (held.status, held.code) == ("held", "approval_needed")
        assert not (await gate.approve(held, as_=human("olga", "librarians"))).accepted
        assert not gate.upstream.writes
        assert (await gate.approve(held, as_=human("lena", "librarians"))).state is HoldState.APPROVED
        assert (await gate.settled(held)).status == "done"
        denied = await gate.call("plain_lend", {**LOAN, "days": 22, "reason": "A longer book."})
        await gate.deny(denied, as_=human("lena", "librarians"))
        assert (await gate.settled(denied)).code == "hold_denied"
        assert len(gate.upstream.effects) == 1


async def test_a_mapping_is_a_policy_for_the_default_caller() -> None:
    """What a mapping leaves out is filled in; what it does not grant is not there."""
    async with Harness(plain, upstream=Library(), policy={"tools": {"plain_book": "allow"}}) as gate:
        assert (await gate.call("plain_book", {"book": "b1"})).status == "done"
        assert (await gate.call("plain_lend", LOAN)).code == "unknown_tool"


async def test_what_the_gateway_would_not_start_with_does_not_start() -> None:
    """A policy that names no tool there is fails on entering, and leaves nothing behind that serves."""
    harness = Harness(plain, upstream=Library(), policy={"tools": {"plain_lent": "allow"}})
    with pytest.raises(StartupError, match="plain_lent"):
        async with harness:
            pass
    assert not harness.folder.exists()


async def test_a_fake_keeps_what_the_connector_promises_of_the_true_one() -> None:
    """It answers 401 without the credential, and deduplicates where the connector says that the system does."""
    async with Harness(keyed, upstream=Library(), secret="one") as gate:
        assert isinstance(gate.upstream, FakeUpstream)
        gate.upstream.inject(Fault.cut(after_effect=True))
        assert (await gate.call("keyed_lend", LOAN)).status == "done"
        first, second = gate.upstream.writes
        assert first.headers["request-id"] == second.headers["request-id"]
        assert [first.effect, second.effect, first.status, second.status] == [True, False, None, 201]
    async with Harness(looked, upstream=Library()) as gate:
        await gate.call("looked_lend", LOAN)
        assert gate.upstream.writes[0].headers["x-desk"] == gate.secret
        gate.app.vault.values[CREDENTIAL] = "rotated-elsewhere"
        gate.app.broker.invalidate(CREDENTIAL)
        assert (await gate.call("looked_lend", {**LOAN, "days": 1})).code == "credential_rejected"


@pytest.mark.parametrize(
    ("fault", "status", "code", "effects"),
    [
        (Fault.status(503), "unknown", "outcome_unknown", 0),
        (Fault.status(503, after_effect=True), "unknown", "outcome_unknown", 1),
        (Fault.status(429, retry_after=7), "failed", "upstream_busy", 0),
        (Fault.status(422), "failed", "upstream_rejected", 0),
        (Fault.cut(after_effect=False), "unknown", "outcome_unknown", 0),
        (Fault.cut(after_effect=True), "unknown", "outcome_unknown", 1),
        (Fault.malformed(), "done", "upstream_bad_answer", 1),
    ],
)
async def test_a_fault_has_the_effect_it_says(fault: Fault, status: str, code: str, effects: int) -> None:
    """I-7: what the agent is told, and what really happened, for every bad day of an upstream that promises nothing."""
    async with Harness(plain, upstream=Library()) as gate:
        gate.upstream.inject(fault, on="POST /books/{book}/loans")
        outcome = await gate.call("plain_lend", LOAN)
        assert (outcome.status, outcome.code, len(gate.upstream.effects)) == (status, code, effects)
        assert outcome.retry_after_ms == (7_000 if code == "upstream_busy" else None)


@pytest.mark.parametrize("after_effect", [False, True])
async def test_a_stalled_request_waits_for_its_release(after_effect: bool) -> None:
    """A test decides what happens in between; no sleep is needed to get there."""
    async with Harness(plain, upstream=Library()) as gate:
        gate.upstream.inject(Fault.stall(after_effect=after_effect), on="POST")
        call = asyncio.create_task(gate.call("plain_lend", LOAN))
        await gate.upstream.stalled()
        assert (len(gate.upstream.effects), call.done()) == (after_effect, False)
        gate.upstream.release()
        assert (await call).status == "done"


async def test_time_is_the_tests() -> None:
    """What waits for hours happens at once: an unanswered write is looked up, an unanswered question expires."""
    held = {"tools": {"looked_lend": "hold"}, "approval": {"from": ["librarians"], "count": 1, "expires": "1h"}}
    async with Harness(looked, upstream=Library()) as gate:
        gate.upstream.inject(Fault.cut(after_effect=True), on="POST")
        lost = await gate.call("looked_lend", LOAN)
        assert lost.status == "unknown"
        await gate.advance(3)
        assert (await gate.settled(lost)).data == {"loan": "l1"}
    async with Harness(looked, upstream=Library(), policy=held) as gate:
        asked = await gate.call("looked_lend", LOAN)
        await gate.advance(3_601)
        assert (await gate.settled(asked)).code == "hold_expired"


async def test_routes_are_plain_functions_or_canned_answers() -> None:
    """Sync, async and canned; a record that is not there is a 404, a broken route a 500 that is logged."""
    upstream = FakeUpstream({"GET /books/{book}": {"id": "b1", "days": 1, "loans": 1}})

    @upstream.route("POST /books/{book}/loans")
    async def lend(request: Request) -> Response:
        await asyncio.sleep(0)
        return Response(201, {"loan": f"{request.path_params['book']}-{request.body['days']}"}, {"ETag": '"1"'})

    async with Harness(plain, upstream=upstream) as gate:
        assert (await gate.call("plain_book", {"book": "b1"})).data == {"id": "b1", "days": 1, "loans": 1}
        assert (await gate.call("plain_lend", LOAN)).data == {"loan": "b1-14"}
    missing = FakeUpstream({"GET /books/{book}": lambda request: {}[request.path_params["book"]]})
    async with Harness(plain, upstream=missing) as gate:
        told = await gate.call("plain_book", {"book": "b7"})
        assert (told.code, missing.journal[0].status) == ("upstream_rejected", 404)
        await gate.call("plain_lend", LOAN)
        assert any("no route of the fake upstream answers POST /books/b1/loans" in line for line in gate.logs)
    broken = FakeUpstream({"GET /books/{book}": lambda request: 1 // 0})
    async with Harness(plain, upstream=broken) as gate:
        assert (await gate.call("plain_book", {"book": "b1"})).code == "upstream_failed"
        assert any("ZeroDivisionError" in line for line in gate.logs)


async def test_a_broken_connector_shows_its_traceback_in_the_log_and_nowhere_else() -> None:
    """An author finds the line that failed; the agent is told that the answer had another shape."""
    upstream = FakeUpstream({"GET /books/{book}": ["not", "a", "book"]})
    async with Harness(plain, upstream=upstream) as gate:
        told = await gate.call("plain_book", {"book": "b1"})
        assert (told.status, told.code) == ("failed", "upstream_bad_answer")
        (line,) = [json.loads(line) for line in gate.logs if "connector_broken" in line]
        assert "library.py" in line["exception"]
        assert "ValidationError" in line["exception"]
        assert "Traceback" not in json.dumps(gate.answers)


async def test_a_body_that_is_no_json_is_kept_as_it_came() -> None:
    """Who plays with `curl` gets an answer, and the journal the text."""
    upstream = FakeUpstream({"POST /notes": lambda request: {"got": request.body}})
    async with upstream, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{upstream.url}/notes?draft=", content=b"no json")
        assert answer.json() == {"got": "no json"}
        (request,) = upstream.writes
        assert (request.body, request.query_params, request.status) == ("no json", {"draft": ""}, 200)


async def test_a_route_names_its_answers_headers_as_it_likes() -> None:
    """Also those that an answer has anyway, however they are spelled."""
    problem = Response(409, {"message": "It is lent."}, {"Content-Type": "application/problem+json", "X_Desk": "2"})
    upstream = FakeUpstream({"POST /loans": lambda request: problem})
    async with upstream, httpx.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{upstream.url}/loans")
        assert (answer.status_code, answer.json()) == (409, {"message": "It is lent."})
        assert answer.headers.get_list("content-type") == ["application/problem+json"]
        assert answer.headers["x_desk"] == "2"


async def test_the_tests_own_log_settings_stand(caplog: pytest.LogCaptureFixture) -> None:
    """Who asked pytest for debug lines of a library still gets them while a gateway runs, and after."""
    caplog.set_level(logging.DEBUG)
    async with Harness(plain, upstream=Library()) as gate:
        logging.getLogger("some.library").debug("fine print")
        assert not any("fine print" in line for line in gate.logs)
    assert "fine print" in caplog.text
    assert logging.getLogger().level == logging.DEBUG


def test_a_route_or_fault_that_can_never_match_is_refused() -> None:
    """A misspelt rule fails where it is written."""
    for rule in ("/books", "GET books", "LOOK /books"):
        with pytest.raises(ValueError, match="is no route"):
            FakeUpstream({rule: {}})
    with pytest.raises(ValueError, match="neither a method nor a route"):
        Library().inject(Fault.stall(), on="POST /loans")
