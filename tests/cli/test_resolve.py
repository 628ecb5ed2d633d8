"""Outcomes that nobody knows, from the command line: who finds out, and what an operator saw."""

from __future__ import annotations

from tests.acme import Acme
from tests.cli.command import Holdgate, one_sentence


def test_what_nobody_knows_is_listed_with_who_finds_out(gateway: Holdgate, acme: Acme) -> None:
    """`ledger unknown` names each write without a known outcome, until somebody has settled it (I-7, I-11)."""
    assert gateway("ledger", "unknown").out == "No outcome is unknown.\n"
    gateway("keys", "create", "operator", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_before", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    action = gateway(*refund).json["action_id"]
    (open_one,) = gateway("ledger", "unknown", "--json").json
    assert (open_one["action_id"], open_one["tool"], open_one["principal"]) == (action, "plain_refund", "bot")
    assert open_one["tried_again_at"] is None
    assert "an operator" in gateway("ledger", "unknown").out
    assert gateway("resolve", action, "--happened", "no", "--because", "Not in Acme's books.").code == 0
    assert gateway("ledger", "unknown", "--json").json == []
    assert "failed" in gateway("ledger", "query", "--event", "RECONCILE").out
    assert "operator" in gateway("ledger", "query", "--event", "RECONCILE").out


def test_an_operator_settles_what_nobody_could_find_out(gateway: Holdgate, acme: Acme) -> None:
    """resolve wants the operator role, works once, gives the claim back, and leaves a RECONCILE line (I-6)."""
    gateway("keys", "create", "ops", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_before", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    unknown = gateway(*refund).json
    assert unknown["status"] == "unknown"
    assert unknown["action_id"] in gateway("ledger", "verify").out
    words = ("resolve", unknown["action_id"], "--happened", "no", "--because", "Not in Acme's books.")
    assert "operator role" in one_sentence(gateway(*words, "--as", "fay"), 1)
    kept, away = gateway.config.parent / "data" / "keys" / "ops.key", gateway.config.parent / "ops.key"
    kept.rename(away)
    told = one_sentence(gateway(*words), 1)
    assert told.endswith("Make one: holdgate keys create NAME --kind human --role operator --keep")
    away.rename(kept)
    assert gateway(*words, "--as", "ops", "--json").json["state"] == "failed"
    one_sentence(gateway(*words, "--as", "ops"), 1)
    line = gateway("ledger", "query", "--event", "RECONCILE", "--json").jsons[-1]
    assert (line["how"], line["because"]) == ("operator", "Not in Acme's books.")
    assert line["by"].endswith(" as ops")
    assert gateway(*refund).json["status"] == "done"


def test_what_an_operator_saw_happen_is_not_done_again(gateway: Holdgate, acme: Acme) -> None:
    """Resolved as happened, a repeat is answered from it and nothing is sent (I-12)."""
    gateway("keys", "create", "operator", "--kind", "human", "--role", "operator", "--keep")
    acme.fault("drop_after", method="POST", times=1)
    refund = ("call", "plain_refund", "--as", "bot", "--arg", "invoice=inv_1001", "--arg", "cents=700", "--json")
    unknown = gateway(*refund).json
    assert gateway("resolve", unknown["action_id"], "--happened", "yes", "--because", "It is there.").code == 0
    repeat = gateway(*refund).json
    assert (repeat["status"], repeat["action_id"]) == ("replayed", unknown["action_id"])
    assert len(acme.mutating()) == 1
    assert gateway("ledger", "verify").code in (0, 3)
