"""What is counted, told by a real process to a real scrape."""

from __future__ import annotations

import socket
from itertools import count
from pathlib import Path

import httpx
import pytest

from tests.acme import Acme
from tests.gate import Gate, gate, request
from tests.place import Place, held, policy
from tests.services import eventually
from tests.telemetry.collector import Collector, Scrape, scrape

READ = {"invoice": "inv_1001"}
PAY = {"invoice": "inv_1001", "cents": 1}


def scraped(gateway: Gate, sample: str, at_least: float = 1, **labels: str) -> Scrape:
    """The scrape in which a sample has reached a value."""
    seen = eventually(lambda: (now := scrape(gateway)).value(sample, **labels) >= at_least and now, sample)
    assert isinstance(seen, Scrape)
    return seen


def test_a_call_is_counted_where_its_facts_are_born(watched: Gate) -> None:
    """One read: a duration of the protocol, a decision and its rule, a lease, a request upstream, an answer, lines."""
    assert watched.call("plain_invoice", READ)["status"] == "done"
    seen = scraped(watched, "holdgate_ledger_lines_total", holdgate_event="OUTCOME")
    tool = {"gen_ai_tool_name": "plain_invoice"}
    assert seen.value("mcp_server_operation_duration_seconds_count", mcp_method_name="tools/call", **tool) == 1
    assert seen.value("holdgate_calls_total", holdgate_status="done", **tool) == 1
    assert seen.value("holdgate_decisions_total", holdgate_verdict="allow", **tool) == 1
    assert seen.value("holdgate_rules_total", holdgate_verdict="allow") == 1
    assert seen.value("holdgate_credential_lease_duration_seconds_count", holdgate_result="lent") == 1
    assert seen.value("http_client_request_duration_seconds_count", http_response_status_code="200") == 1
    assert seen.value("holdgate_ledger_lines_total", holdgate_event="INTENT") == 1


def test_refusals_and_replays_are_told_apart(watched: Gate) -> None:
    """A refusal is counted under its code and a repeat as a replay, each once (I-4)."""
    first = watched.call("plain_refund", PAY)
    assert watched.call("plain_refund", PAY)["status"] == "replayed"
    assert first["status"] == "done"
    assert watched.call("plain_refund", {**PAY, "cents": "no"})["code"] == "invalid_arguments"
    seen = scrape(watched)
    assert seen.value("holdgate_replays_total", holdgate_key_source="derived") == 1
    refused = {"holdgate_code": "invalid_arguments", "gen_ai_tool_name": "plain_refund"}
    assert seen.value("holdgate_refusals_total", **refused) == 1
    assert seen.value("http_client_request_duration_seconds_count", http_request_method="POST") == 1


def test_names_that_a_caller_makes_up_count_as_one(watched: Gate) -> None:
    """However many tools a caller invents, they share one series, and no name of theirs is told."""
    for number in range(5):
        assert "error" in watched.call(f"invented_tool_{number}", {})
    headers, body = request("plain_invoice", READ, key=watched.place.keys["bot"])
    body, headers = body.replace(b'"tools/call"', b'"made/up"'), {**headers, "mcp-method": "made/up"}
    httpx.post(watched.url, headers=headers, content=body, trust_env=False)
    seen = scrape(watched)
    assert (
        seen.value("mcp_server_operation_duration_seconds_count", gen_ai_tool_name="unknown", error_type="-32602") == 5
    )
    assert seen.value("holdgate_refusals_total", gen_ai_tool_name="unknown", holdgate_code="unknown_tool") == 5
    assert seen.value("mcp_server_operation_duration_seconds_count", mcp_method_name="_OTHER") == 1
    assert not any("invented" in text or "made/up" in text for _, labels, _ in seen.samples for text in labels.values())


def test_what_waits_is_told_with_its_age(watched: Gate) -> None:
    """H-9: a hold that nobody decides shows, with how long it has waited; and is gone when it is decided."""
    watched.place.write_policy(held())
    numbers = count()

    def asked() -> bool:
        key = f"a-key-of-its-own-{next(numbers)}"
        return bool(watched.call("plain_refund", {**PAY, "idempotency_key": key})["status"] == "held")

    eventually(asked, "the policy to be in force")
    waiting = "holdgate_holds_waiting"
    seen = scraped(watched, waiting, holdgate_state="pending")
    assert seen.value("holdgate_holds_oldest_age_seconds", holdgate_state="pending") >= 0
    for hold in watched.place.transact(lambda tx: tx.holds.all("default")):
        watched.place.vote(hold.action, "fay", "deny")
    eventually(lambda: scrape(watched).value(waiting, holdgate_state="pending") == 0, "the hold to be over")
    assert scraped(watched, "holdgate_ledger_lines_total", holdgate_event="VOTE")


def test_an_upstream_that_fails_and_one_that_says_nothing_are_counted(watched: Gate, acme: Acme) -> None:
    """I-7: a lost answer is an unknown, a failure is an error of its class, and both are open questions until told."""
    acme.fault("drop_after", method="POST")
    assert watched.call("plain_refund", PAY)["status"] == "unknown"
    seen = scraped(watched, "holdgate_unknowns_open")
    assert seen.value("holdgate_unknowns_total", holdgate_how="unanswered", gen_ai_tool_name="plain_refund") == 1
    assert (
        seen.value("holdgate_upstream_errors_total", holdgate_connector="plain", holdgate_code="outcome_unknown") == 1
    )
    assert seen.value("http_client_request_duration_seconds_count", error_type="outcome_unknown") == 1


def test_how_much_of_a_budget_is_used_is_told_and_not_whose(watched: Gate) -> None:
    """R-5: a charge tells the used share; neither principal nor task is in a label, for they are without number."""
    limits = {"task": {"tool_calls": 4}}
    watched.place.write_policy(policy(budgets=limits))

    def charged() -> bool:
        watched.call("plain_invoice", READ)
        return scrape(watched).value("holdgate_budget_use_count", holdgate_window="task") >= 1

    eventually(charged, "a charge")
    labels = {text for name, said, _ in scrape(watched).samples if "budget" in name for text in said.values()}
    assert not any("bot" in text or "tsk" in text for text in labels)


def test_the_same_metrics_go_to_a_collector(watched: Gate, collector: Collector) -> None:
    """OTLP carries what the scrape shows, under OpenTelemetry's own names."""
    watched.call("plain_invoice", READ)
    eventually(lambda: {"mcp.server.operation.duration", "holdgate.calls"} <= collector.metrics, "the export")


def test_a_port_that_is_taken_stops_the_start(place: Place) -> None:
    """A gateway that nobody could watch says so at once, with a remedy, and serves nobody."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        place.write_settings(telemetry={"prometheus": {"port": taken.getsockname()[1]}})
        with pytest.raises(AssertionError, match="did not start"), gate(place):
            pass
    log = Path(place.folder / "gate.log").read_text()
    assert "cannot be used for metrics" in log
    assert "telemetry: prometheus: port" in log


def test_a_collector_that_is_away_delays_neither_calls_nor_the_end(place: Place) -> None:
    """Telemetry that cannot be sent is dropped; the gateway answers, and stops in order."""
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
    place.write_settings(telemetry={"otlp": url})
    with gate(place) as gateway:
        assert gateway.call("plain_invoice", READ)["status"] == "done"
        assert gateway.stop() == 0


def test_nothing_listens_and_nothing_is_sent_by_default(place: Place) -> None:
    """Telemetry is off until it is asked for."""
    telemetry = place.home.settings.telemetry
    assert (telemetry.prometheus, telemetry.otlp) == (None, None)
