"""`holdgate call`: a real MCP client against a real gateway and a real Acme."""

from __future__ import annotations

import json

from tests.acme import API_KEY, Acme
from tests.cli.command import Holdgate, one_sentence
from tests.place import Place, held
from tests.services import eventually

REFUND = ("call", "billing_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=500")
CAUSE = ("--arg", "cause=not_received")
LOOK = ("call", "billing_lookup_invoice", "--arg", "invoice=inv_1001", "--json")


def test_values_take_the_type_of_the_tools_schema(gateway: Holdgate, acme: Acme) -> None:
    """A number given as a word arrives as a number, and money moves once although the call is made twice (I-4)."""
    first = gateway(*REFUND, *CAUSE, "--json")
    second = gateway(*REFUND, *CAUSE, "--json")
    assert (first.code, first.json["status"], first.json["data"]["cents"]) == (0, "done", 500)
    assert (second.json["status"], second.json["action_id"]) == ("replayed", first.json["action_id"])
    assert len(acme.mutating()) == 1


def test_a_dry_run_shows_the_change_and_makes_none(gateway: Holdgate, acme: Acme) -> None:
    """--dry-run prints the diff as a table; Acme sees reads only (D-3, S22)."""
    ended = gateway(*REFUND, *CAUSE, "--dry-run")
    assert ended.code == 0
    assert "refunded_cents" in ended.out
    assert "certainty" in ended.out
    assert acme.mutating() == []


def test_arguments_may_come_as_one_json_object(gateway: Holdgate) -> None:
    """--json-args reads a file or stdin, and --arg adds to it."""
    ended = gateway(
        "call", "billing_lookup_invoice", "--as", "bot", "--json-args", "-", "--json", stdin='{"invoice": "inv_1001"}'
    )
    assert (ended.code, ended.json["data"]["id"]) == (0, "inv_1001")
    assert gateway("call", "billing_lookup_invoice", "--json-args", "-", stdin="[1]").code == 2
    absent = gateway("call", "billing_lookup_invoice", "--json-args", "absent.json")
    assert (absent.code, "absent.json cannot be read" in absent.err) == (2, True)


def test_a_refused_call_exits_1_with_its_envelope(gateway: Holdgate) -> None:
    """Wrong arguments come back as the gateway's own envelope, with its code."""
    ended = gateway("call", "billing_lookup_invoice", "--as", "bot", "--arg", "invoice=nonsense", "--json")
    assert (ended.code, ended.json["code"]) == (1, "invalid_arguments")


def test_a_tool_that_is_absent_and_one_that_is_hidden_read_alike(gateway: Holdgate) -> None:
    """Who may see nothing is told the same of every name (T-5)."""
    sentences = [one_sentence(gateway("call", name, "--as", "vic"), 1) for name in ("billing_refund", "absent_refund")]
    assert sentences[0].replace("billing", "absent") == sentences[1]


def test_the_key_comes_from_the_environment_too(gateway: Holdgate, place: Place) -> None:
    """$HOLDGATE_KEY stands in for a kept key; a bad one is refused in one sentence."""
    words = ("call", "billing_lookup_invoice", "--arg", "invoice=inv_1001", "--json")
    assert gateway(*words, HOLDGATE_KEY=place.keys["bot"]).code == 0
    sentence = one_sentence(gateway(*words, HOLDGATE_KEY="hg_0123456789abcdef_" + "x" * 43), 1)
    assert "correct $HOLDGATE_KEY" in sentence
    assert "policy" not in sentence


def test_a_mistyped_tool_is_told_with_its_right_name(gateway: Holdgate) -> None:
    """The near name is one that this key may call; where none is near, the lists are named."""
    assert "Did you mean billing_refund?" in one_sentence(gateway("call", "billing_refnd", "--as", "bot"), 1)
    assert "`holdgate tools ls`" in one_sentence(gateway("call", "something_else", "--as", "bot"), 1)


def test_the_ledger_knows_a_call_of_the_command_line(gateway: Holdgate) -> None:
    """A client says what it is, and this one is no library's example."""
    assert gateway(*REFUND, *CAUSE).code == 0
    (intent,) = gateway("ledger", "query", "--event", "intent", "--json").jsons
    assert intent["claims"]["client"] == "holdgate"


def test_without_a_gateway_the_remedy_is_to_serve(before_acme: Holdgate) -> None:
    """When nothing listens, one sentence says so and how to start it."""
    assert "holdgate serve" in one_sentence(before_acme.program(*REFUND), 1)


def test_a_stop_holds_for_the_running_gateway_from_its_commit_on(gateway: Holdgate, acme: Acme) -> None:
    """kill takes effect at the next dispatch, resume lifts it, and both are on the ledger (T-10)."""
    for scope in (("everything",), ("agent", "bot"), ("tool", "billing_refund"), ("connector", "billing")):
        assert gateway("kill", *scope, "--because", "a drill").code == 0
        assert gateway(*REFUND, *CAUSE, "--json").json["code"] == "switched_off"
        assert gateway("resume", *scope).code == 0
    assert acme.mutating() == []
    assert gateway(*REFUND, *CAUSE).code == 0
    switched = gateway("ledger", "query", "--event", "switch", "--json").jsons
    assert [line["state"] for line in switched] == ["stopped", "resumed"] * 4


def test_a_disabled_principal_is_shut_out_of_the_running_gateway(gateway: Holdgate) -> None:
    """keys disable takes effect without a restart, and enable undoes it (S19)."""
    look = ("call", "billing_lookup_invoice", "--as", "bot", "--arg", "invoice=inv_1001")
    assert gateway(*look).code == 0
    gateway("keys", "disable", "bot")
    eventually(lambda: gateway(*look).code == 1, "the disabled agent to be shut out")
    gateway("keys", "enable", "bot")
    eventually(lambda: gateway(*look).code == 0, "the enabled agent to be let in")


def test_a_held_call_exits_0_and_says_until_when(before_acme: Holdgate, place: Place, acme: Acme) -> None:
    """A hold is no failure: the envelope says held, and when the question lapses (H-9)."""
    place.write_policy(held("billing_refund"))
    with before_acme.serving():
        ended = before_acme(*REFUND, *CAUSE, "--json")
    assert (ended.code, ended.json["status"]) == (0, "held")
    assert ended.json["expires_at"]
    assert acme.mutating() == []


def test_the_servers_log_is_json_and_free_of_credentials(before_acme: Holdgate) -> None:
    """serve logs JSON lines on stderr only, and no credential is in them (C-6)."""
    with before_acme.serving() as process:
        assert before_acme(*REFUND, *CAUSE).code == 0
        process.terminate()
        out, err = process.communicate(timeout=20)
    assert out == ""
    events = [json.loads(line)["event"] for line in err.splitlines()]
    assert {"started", "stopped"} <= set(events)
    assert API_KEY not in err
    assert process.returncode == 0


def test_whoever_has_no_operators_key_is_told_whom_to_call_as(gateway: Holdgate) -> None:
    """A key of that name made on advice would be an agent's, whom no policy knows."""
    told = one_sentence(gateway("call", "billing_lookup_invoice", "--arg", "invoice=inv_1001"), 1)
    assert told.startswith("holdgate: No key of operator is kept here. Choose who calls with --as: bot, ")


def test_a_task_and_a_key_may_be_any_text(gateway: Holdgate) -> None:
    """I-16: a task that no header carries is found by its name all the same; what is no key is told to be none."""
    for task in ("Bestellung Ü-17 ⠀", "two\nlines"):
        assert gateway(*LOOK, "--as", "bot", "--task", task).code == 0
    (line,) = gateway("ledger", "query", "--task", "Bestellung Ü-17 ⠀", "--event", "INTENT", "--json").jsons
    assert line["task_source"] == "meta"
    refused = gateway(*LOOK, HOLDGATE_KEY="hg_ü")
    assert (refused.code, "holds no key" in refused.err) == (1, True)
