"""What a call went through, told to a real receiver by a real process."""

from __future__ import annotations

import json

import httpx

from gateway.testing.secrecy import disguises
from tests.acme import API_KEY, Acme
from tests.canaries import KEY, PHONE, REASON
from tests.gate import Gate, request
from tests.place import held
from tests.services import eventually
from tests.telemetry.collector import Collector

SERVER, CLIENT = 2, 3
TRACE = "0af7651916cd43dd8448eb211c80319c"
IN_META = f"00-{TRACE}-b7ad6b7169203331-01"
IN_HEADER = "00-11111111111111111111111111111111-2222222222222222-01"
READ = {"invoice": "inv_1001"}


def test_a_call_is_one_trace_from_the_caller_to_the_system_of_record(watched: Gate, collector: Collector) -> None:
    """The SERVER span has the parent that `_meta` names and a link to the HTTP one; each phase is below it."""
    watched.call("plain_invoice", READ, meta={"traceparent": IN_META}, headers={"traceparent": IN_HEADER})
    asked = collector.span("GET")
    served = collector.span("tools/call plain_invoice")
    assert (served.kind, served.trace, served.parent, served.links) == (
        SERVER,
        TRACE,
        "b7ad6b7169203331",
        ("2222222222222222",),
    )
    collector.span("holdgate.settle")
    assert {"holdgate.decide", "holdgate.admit", "holdgate.dispatch", "holdgate.settle"} <= collector.children(served)
    assert (asked.kind, asked.trace, asked.parent) == (CLIENT, TRACE, collector.span("holdgate.dispatch").id)
    assert served.attributes == {
        "mcp.method.name": "tools/call",
        "mcp.protocol.version": "2026-07-28",
        "network.transport": "tcp",
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "plain_invoice",
        "jsonrpc.request.id": "1",
        "client.address": "127.0.0.1",
    }
    assert asked.attributes.keys() == {
        "http.request.method",
        "server.address",
        "server.port",
        "http.response.status_code",
    }


def test_what_runs_after_its_call_is_linked_to_it(watched: Gate, collector: Collector) -> None:
    """An approved call has a trace of its own, not the caller's, whose first span links to where it was asked."""
    watched.place.write_policy(held())
    assert eventually(lambda: "policy_changed" in watched.log.read_text(), "the edit to be in force")
    asked = watched.call("plain_refund", {**READ, "cents": 500}, meta={"traceparent": IN_META})
    assert watched.place.vote(asked["action_id"], "fay").accepted
    assert watched.settled(asked["action_id"])["status"] == "done"
    executed = collector.span("holdgate.execute", holdgate__action__id=asked["action_id"])
    admitted = collector.span("holdgate.admit", holdgate__action__id=asked["action_id"])
    assert admitted.trace == TRACE
    assert (executed.parent, executed.links) == ("", (admitted.id,))
    assert executed.trace != TRACE
    assert {"holdgate.dispatch", "holdgate.settle"} <= collector.children(executed)


def test_a_call_that_names_no_parent_belongs_to_the_trace_of_its_http_request(
    watched: Gate, collector: Collector
) -> None:
    """The header's trace is the parent where `_meta` has none; one that is no trace is as good as none."""
    watched.call("plain_invoice", READ, meta={"traceparent": "not-one"}, headers={"traceparent": IN_HEADER})
    served = collector.span("tools/call plain_invoice")
    assert (served.trace, served.parent, served.links) == ("1" * 32, "2" * 16, ())


def test_a_failure_is_told_by_its_kind(watched: Gate, collector: Collector, acme: Acme) -> None:
    """A code on each span on its way up, and no exception, whose text could hold an argument."""
    acme.fault("drop_before", method="GET", times=9)
    watched.call("plain_invoice", READ)
    assert collector.span("tools/call plain_invoice").attributes["error.type"] == "tool_error"
    assert collector.span("GET").attributes["error.type"] == "upstream_failed"
    assert not any(span.events for span in collector.spans)


def test_a_name_that_a_caller_made_up_names_no_span(watched: Gate, collector: Collector) -> None:
    """Unknown tools and methods are told as such, and their protocol error by its code."""
    watched.call("made_up_by_the_caller", {})
    headers, body = request("plain_invoice", READ, key=watched.place.keys["bot"])
    body, headers = body.replace(b'"tools/call"', b'"made/up"'), {**headers, "mcp-method": "made/up"}
    httpx.post(watched.url, headers=headers, content=body, trust_env=False)
    assert collector.span("tools/call unknown").attributes["error.type"] == "-32602"
    collector.span("_OTHER")
    watched.stop()
    assert not any(b"made_up" in body or b"made/up" in body for body in collector.bodies)


def test_no_secret_and_no_argument_leaves_by_telemetry(watched: Gate, collector: Collector, acme: Acme) -> None:
    """V-6, C-6: after echoes, errors, holds and refusals, no canary is in anything that was exported."""
    watched.place.write_policy(held("crm_update_customer"))
    refund = {"invoice": "inv_1001", "cents": 1, "reason": REASON}
    for number, fault in enumerate((("echo", "id"), ("echo_error", 422), ("garbage", None), ("drop_after", None))):
        acme.fault(*fault)
        watched.call("plain_invoice", READ)
        watched.call("plain_refund", {**refund, "idempotency_key": f"{KEY}-{number}"})
        acme.start_over()
    watched.call("crm_update_customer", {"customer": "cus_ada", "phone": PHONE, "reason": REASON})
    watched.call("plain_refund", {**refund, "cents": REASON})
    watched.call(f"tool_{KEY}"[:40], {"phone": PHONE})
    watched.stop()
    assert len(collector.spans) > 20
    key = watched.place.keys["bot"].split("_", 2)[2]
    canaries = [*disguises(API_KEY), key, PHONE, REASON, KEY, "inv_1001", json.dumps(PHONE)]
    for body in collector.bodies:
        for canary in canaries:
            assert canary.encode() not in body
